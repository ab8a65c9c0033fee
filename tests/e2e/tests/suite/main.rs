//! Everleaf as users meet it: real processes against a real kube-apiserver.
