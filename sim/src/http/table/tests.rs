use super::*;
use crate::apiserver::{ApiServer, Config};

/// 2026-01-01T00:00:00Z.
const NOW: i64 = 1_767_225_600_000;
const FORM: Form = Form { version: "v1", include: Include::Metadata };

const CRD: &str = r#"
kind: CustomResourceDefinition
spec:
  group: example.com
  scope: Namespaced
  names: {plural: things, kind: Thing}
  versions:
  - name: v1
    additionalPrinterColumns:
    - {name: Ready, type: string, jsonPath: '.status.conditions[?(@.type == "Ready")].status'}
    - {name: Count, type: integer, jsonPath: .spec.count, priority: 1}
    - {name: Age, type: date, jsonPath: .metadata.creationTimestamp}
    schema: {openAPIV3Schema: {type: object}}
"#;

fn table_of(resource: &str, object: &Value) -> Value {
    let config = Config { crds: vec![CRD.to_owned()], ..Config::default() };
    let server = ApiServer::new(config).expect("it is well formed");
    let def = server.resources().find(|def| def.key() == resource).expect("it is served");
    Printer::new(def, FORM, NOW).table(object, true)
}

fn cells(resource: &str, object: Value) -> Value {
    table_of(resource, &object)["rows"][0]["cells"].clone()
}

fn meta() -> Value {
    json!({"name": "a", "resourceVersion": "7", "creationTimestamp": "2025-12-31T23:59:00Z"})
}

#[test]
fn a_custom_resource_has_the_columns_of_its_definition() {
    let object = json!({"metadata": meta(), "spec": {"count": 3},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]}});
    let table = table_of("things.example.com", &object);
    assert_eq!(table["rows"][0]["cells"], json!(["a", "True", 3, "60s"]));
    assert_eq!(table["rows"][0]["object"]["kind"], "PartialObjectMetadata");
    assert_eq!(table["metadata"], json!({"resourceVersion": "7"}));
    let columns = table["columnDefinitions"].as_array().expect("headers");
    let told: Vec<_> = columns.iter().map(|c| (&c["name"], &c["type"], &c["priority"])).collect();
    let told = json!(told);
    let expected = json!([
        ["Name", "string", 0],
        ["Ready", "string", 0],
        ["Count", "integer", 1],
        ["Age", "date", 0]
    ]);
    assert_eq!(told, expected);
    assert_eq!(
        cells("things.example.com", json!({"metadata": meta()})),
        json!(["a", null, null, "60s"])
    );
}

#[test]
fn built_in_kinds_have_the_cells_that_a_real_server_gives_them() {
    let service = json!({"metadata": meta(), "spec": {"type": "NodePort", "clusterIPs": ["10.0.0.1"],
        "selector": {"app": "x"}, "ports": [{"port": 80, "nodePort": 30001, "protocol": "TCP"},
        {"port": 53, "protocol": "UDP"}]}});
    let expected =
        json!(["a", "NodePort", "10.0.0.1", "<none>", "80:30001/TCP,53/UDP", "60s", "app=x"]);
    assert_eq!(cells("services", service), expected);
    let slice = json!({"metadata": meta(), "addressType": "IPv4", "ports": [{"port": 80}, {}],
        "endpoints": [{"addresses": ["1.1.1.1", "1.1.1.2"]}, {"addresses": ["1.1.1.3", "1.1.1.4"]}]});
    let expected = json!(["a", "IPv4", "80,*", "1.1.1.1,1.1.1.2,1.1.1.3 + 1 more...", "60s"]);
    assert_eq!(cells("endpointslices.discovery.k8s.io", slice), expected);
    let ingress = json!({"metadata": meta(), "spec": {"tls": [{}], "rules": [{"host": "a.test"}, {}]},
        "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.111"}, {"hostname": "lb.test"}]}}});
    let expected = json!(["a", "<none>", "a.test", "192.0.2.111,l...", "80, 443", "60s"]);
    assert_eq!(cells("ingresses.networking.k8s.io", ingress), expected);
    let secret = json!({"metadata": meta(), "type": "Opaque", "data": {"a": "", "b": ""}});
    assert_eq!(cells("secrets", secret), json!(["a", "Opaque", 2, "60s"]));
}

#[test]
fn an_event_is_told_alike_whichever_api_wrote_it() {
    let old = json!({"metadata": meta(), "involvedObject": {"kind": "Ingress", "name": "w"},
        "reason": "R", "message": "m\n", "type": "Normal", "source": {"component": "c"},
        "firstTimestamp": "2025-12-31T23:00:00Z", "lastTimestamp": "2025-12-31T23:50:00Z", "count": 3});
    let expected = json!(["10m", "Normal", "R", "ingress/w", "", "c", "m", "60m", 3, "a"]);
    assert_eq!(cells("events", old), expected);
    let new = json!({"metadata": meta(), "regarding": {"kind": "Ingress", "name": "w"},
        "reason": "R", "note": "m", "type": "Normal", "reportingController": "c",
        "reportingInstance": "i", "eventTime": "2025-12-31T23:50:00.000000Z"});
    let expected = json!(["10m", "Normal", "R", "ingress/w", "", "c, i", "m", "10m", 1, "a"]);
    assert_eq!(cells("events.events.k8s.io", new), expected);
}
