use super::*;
use serde_json::json;

fn spec(value: Value) -> api::CertificateSpec {
    let mut whole = json!({ "secretName": "tls", "issuerRef": { "name": "ca" } });
    whole
        .as_object_mut()
        .expect("as the test wrote it")
        .extend(value.as_object().expect("as the test wrote it").clone());
    serde_json::from_value(whole).expect("as the test wrote it")
}

#[test]
fn a_keystore_that_is_not_to_be_created_is_not_wanted() {
    let store = json!({ "create": false, "password": "x" });
    let found = outputs(&spec(json!({ "keystores": { "jks": store, "pkcs12": store } })));
    assert_eq!(found, Outputs::default());
}

#[test]
fn defaults_are_applied_and_no_password_is_in_facts_or_in_the_digest_of_the_spec() {
    let with = |password: &str| {
        spec(json!({
            "keystores": {
                "jks": { "create": true, "password": password },
                "pkcs12": { "create": true, "passwordSecretRef": { "name": "s", "key": "k" } },
            },
            "additionalOutputFormats": [{ "type": "DER" }],
        }))
    };
    let found = outputs(&with("canary"));
    assert_eq!(found.jks, Some(("certificate".into(), PasswordFrom::Literal)));
    let secret = PasswordFrom::Secret { name: "s".into(), key: "k".into() };
    assert_eq!(found.pkcs12, Some((StoreProfile::LegacyRc2, secret)));
    assert!(found.der && !found.combined_pem);
    assert!(!serde_json::to_string(&found).expect("as the test wrote it").contains("canary"));
    let digest = crate::project::spec_digest;
    assert_eq!(digest(&with("canary")), digest(&with("other")));
    assert_ne!(digest(&with("canary")), digest(&spec(json!({}))));
}

#[test]
fn what_others_manage_and_what_tells_of_the_pair_is_not_ours_to_judge() {
    let fields = json!({
        "f:metadata": {
            "f:labels": { "f:team": {}, "f:controller.cert-manager.io/fao": {} },
            "f:annotations": {
                "f:example.com/x": {}, "f:cert-manager.io/common-name": {},
                "f:cert-manager.io/allow-direct-injection": {},
            },
        },
        "f:data": { "f:tls.crt": {}, "f:key.der": {} },
    });
    let entry = |manager: &str, operation: &str| json!({ "manager": manager, "operation": operation, "fieldsV1": fields });
    let secret = |entries: Value| {
        json!({ "metadata": {
            "labels": { "team": "shop", "controller.cert-manager.io/fao": "true" },
            "annotations": {
                "example.com/x": "y", "cert-manager.io/common-name": "a",
                "cert-manager.io/allow-direct-injection": "true",
            },
            "managedFields": entries,
        } })
    };
    let others = json!([entry("kubectl", "Apply"), entry(SECRET_MANAGER, "Update"), {}]);
    assert_eq!(managed(&secret(others)), None);
    assert_eq!(managed(&json!({})), None);
    let ours =
        managed(&secret(json!([entry(SECRET_MANAGER, "Apply")]))).expect("as the test wrote it");
    let labels: Vec<_> = ours.template.labels.iter().map(|(k, v)| (&**k, &**v)).collect();
    assert_eq!(labels, [("team", "shop")]);
    let annotations: Vec<&str> = ours.template.annotations.keys().map(|key| &**key).collect();
    assert_eq!(annotations, ["cert-manager.io/allow-direct-injection", "example.com/x"]);
    assert_eq!(ours.entries, [Arc::<str>::from("key.der")]);
}
