//! What is looked at before an order is placed: nothing is spent on what would fail at the CA.

use everleaf_e2e::acme::{Ca, Dns, attempt, http01, rfc2136, swept};
use everleaf_e2e::{Scope, World, eventually, name_of, scenario, text};
use serde_json::{Value, json};

/// The only Order there is, once its last attempt is as told.
async fn only_order(world: &World, told: impl Fn(&Value) -> bool) -> Value {
    eventually("the Order says what was seen", 60, async || {
        let all = world.list("Order").await;
        let [order] = all.as_slice() else { return Err(format!("{} Orders", all.len())) };
        let said = attempt(order).is_some_and(|note| told(&note));
        if said { Ok(order.clone()) } else { Err(order.to_string()) }
    })
    .await
}

#[test]
fn a_name_without_an_address_waits_with_what_was_seen_and_spends_nothing() {
    let Some(ca) = Ca::pebble("acme-unknown") else { return };
    scenario("acme-unknown", Scope::Namespace, async |world| {
        let _operator = ca.operator(world, &[]);
        ca.serve(world, &json!([http01()]), json!({})).await;
        let spec = json!({ "dnsNames": ["no.such.zone.test"], "issuerRef": { "name": "acme" } });
        world.certificate("unknown", spec).await;
        let told = |note: &Value| {
            note["class"] == "transient" && text(note, "/detail").contains("DNS has no address")
        };
        let order = only_order(world, told).await;
        assert_eq!(text(&order, "/status/url"), "", "the CA was not asked");
        world.delete("Certificate", "unknown").await;
        swept(world).await;
    });
}

#[test]
fn a_caa_record_that_forbids_is_told_before_an_order_is_placed() {
    let Some(ca) = Ca::pebble("acme-caa") else { return };
    if Dns::open("acme-caa").is_none() {
        return;
    }
    scenario("acme-caa", Scope::Namespace, async |world| {
        let _operator = ca.operator(world, &[]);
        ca.serve(world, &json!([rfc2136(world).await]), json!({})).await;
        let names = json!({ "everleaf.dev/caa-identities": "pebble.test" });
        world.patch("Issuer", "acme", json!({ "metadata": { "annotations": names } })).await;
        let spec = |name: &str| json!({ "dnsNames": [name], "issuerRef": { "name": "acme" } });
        world.certificate("forbidden", spec("caa-forbids.example.test")).await;
        let told = |note: &Value| note["type"] == "urn:ietf:params:acme:error:caa";
        let order = only_order(world, told).await;
        // The state follows the note.
        let reason = "CAA 0 issue \"other-ca.test\"";
        let ended = |order: &Value| text(order, "/status/reason").contains(reason);
        world.until(("Order", name_of(&order)), "ends with the record that forbids", ended).await;
        assert_eq!(text(&order, "/status/url"), "", "the CA was not asked");
        world.delete("Certificate", "forbidden").await;

        world.certificate("allowed", spec("caa-allows.example.test")).await;
        world.revision("allowed", 1).await;
    });
}
