//! What one issuance costs the API server.

use everleaf_e2e::{Audit, Scope, ServiceAccount, World, everything, scenario};
use serde_json::json;

#[test]
fn a_ca_issuance_costs_at_most_five_writes_and_two_events() {
    scenario("cost", Scope::Namespace, async |world| {
        let Some(audit) = Audit::open("cost") else { return };
        let account = ServiceAccount::create(world, "operator", vec![everything()]).await;
        let operator = world.operator(&[&account.flag()]);
        world.ca().await;
        world.certificate("measured", json!({})).await;
        world.revision("measured", 1).await;
        world.settled().await;
        assert!(operator.stop().success(), "Events are written before it ends");
        assert_cost(&audit, world, &account.user).await;
    });
}

async fn assert_cost(audit: &Audit, world: &World, user: &str) {
    let mut writes = audit.writes(world, user).await;
    writes.retain(|write| write.name.contains("measured") || write.name.is_empty());
    let listed: Vec<String> = writes.iter().map(ToString::to_string).collect();
    let listed = listed.join("\n");
    let events = writes.iter().filter(|write| write.resource == "events").count();
    let others = writes.len() - events;
    assert!(others >= 4, "request, its answer, Secret and status at least:\n{listed}");
    assert!(others <= 5, "{others} writes beside Events:\n{listed}");
    assert!(events <= 2, "{events} Events:\n{listed}");
}
