//! Suites against a real kube-apiserver, named by KUBECONFIG.
