use super::super::labels;
use super::*;
use everleaf_engine::ObjectKey;
use everleaf_nodes::{Base, Do, Effect, Kind};

fn effect() -> Effect {
    Effect {
        subject: ObjectKey::new(Kind::Challenge, "shop", "web-1-2-3"),
        base: Base { uid: "u1".into(), rv: 7 },
        action: Do::Say,
        events: Vec::new(),
    }
}

fn pods() -> SolverPods {
    let amounts = |cpu: &str, memory: &str| {
        [("cpu", cpu), ("memory", memory)].map(|(k, v)| (k.to_owned(), v.to_owned())).into()
    };
    SolverPods {
        image: "everleaf:1".to_owned(),
        requests: amounts("10m", "64Mi"),
        limits: amounts("100m", "64Mi"),
        non_root: true,
        runtime_class: None,
    }
}

fn made(template: Value) -> (Value, Value) {
    let effect = effect();
    let labels = labels("a.test", "tok", &BTreeMap::from([("team".into(), "x".into())]));
    let name = "cm-acme-http-solver-x".to_owned();
    let service = name.clone();
    let way =
        Way { effect: &effect, name, service, host: "a.test", token: "tok", labels, exact: true };
    let way = way.by_pod();
    let template = serde_json::from_value(template).unwrap();
    (way.pod("tok.key", &pods(), &template), way.pod_service(None))
}

#[test]
fn it_is_the_pod_that_cert_manager_makes_running_our_image() {
    let (pod, service) = made(json!({}));
    assert_eq!(pod["metadata"]["name"], "cm-acme-http-solver-x-pod");
    assert_eq!(pod["metadata"]["labels"]["team"], "x");
    assert_eq!(pod["metadata"]["ownerReferences"][0]["uid"], "u1");
    let container = &pod["spec"]["containers"][0];
    let args =
        ["acmesolver", "--listen-port=8089", "--domain=a.test", "--token=tok", "--key=tok.key"];
    assert_eq!(container["args"], json!(args));
    assert_eq!(container["image"], "everleaf:1");
    assert_eq!(container["resources"]["limits"], json!({ "cpu": "100m", "memory": "64Mi" }));
    assert_eq!(container["securityContext"]["capabilities"], json!({ "drop": ["ALL"] }));
    assert_eq!(pod["spec"]["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["spec"]["nodeSelector"], json!({ "kubernetes.io/os": "linux" }));
    let (labels, selector) = (&pod["metadata"]["labels"], &service["spec"]["selector"]);
    let selector = selector.as_object().unwrap();
    assert_eq!(selector.len(), 3);
    assert!(selector.iter().all(|(key, value)| labels[key] == *value), "the Service finds the Pod");
    assert_eq!(service["spec"]["ports"][0]["targetPort"], 8089);
}

#[test]
fn a_template_is_merged_field_by_field() {
    let (pod, service) = made(json!({
        "metadata": {
            "labels": { "mine": "1", names::HTTP01_SOLVER: "forged" },
            "annotations": { "sidecar.istio.io/inject": "true" },
        },
        "spec": {
            "nodeSelector": { "disk": "ssd", "kubernetes.io/os": "windows" },
            "tolerations": [{ "key": "acme", "operator": "Exists" }],
            "imagePullSecrets": [{ "name": "pull" }],
            "priorityClassName": "high",
            "serviceAccountName": "solver",
            "resources": { "limits": { "cpu": "1" } },
            "securityContext": { "runAsUser": 1001 },
        },
    }));
    assert_eq!(pod["metadata"]["labels"]["mine"], "1");
    let ours = &pod["metadata"]["labels"][names::HTTP01_SOLVER];
    assert_eq!(
        *ours,
        service["spec"]["selector"][names::HTTP01_SOLVER],
        "or nobody would reach it"
    );
    assert_eq!(pod["metadata"]["annotations"]["sidecar.istio.io/inject"], "true");
    let spec = &pod["spec"];
    assert_eq!(spec["nodeSelector"], json!({ "disk": "ssd", "kubernetes.io/os": "windows" }));
    assert_eq!(spec["tolerations"][0]["key"], "acme");
    assert_eq!(spec["imagePullSecrets"], json!([{ "name": "pull" }]));
    assert_eq!(
        (&spec["priorityClassName"], &spec["serviceAccountName"]),
        (&json!("high"), &json!("solver"))
    );
    let resources = &spec["containers"][0]["resources"];
    assert_eq!(resources["limits"], json!({ "cpu": "1", "memory": "64Mi" }));
    assert_eq!(
        spec["securityContext"],
        json!({ "runAsUser": 1001 }),
        "the whole context is theirs"
    );
}

#[test]
fn of_a_pod_that_does_not_run_it_is_told_why_in_few_words() {
    let pending = json!({
        "metadata": { "name": "p" },
        "status": { "phase": "Pending", "conditions": [
            { "type": "PodScheduled", "status": "False", "message": "0/3 nodes are available" },
        ]},
    });
    let told = trouble(&pending).unwrap();
    assert_eq!(told, "the solver Pod p is Pending: 0/3 nodes are available");
    assert_eq!(trouble(&json!({ "status": { "phase": "Running" } })), None);
    assert!(trouble(&json!({ "metadata": { "name": "p" } })).is_some());
}
