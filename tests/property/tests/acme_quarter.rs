//! Ninety days of hundreds of names at a CA with Let's Encrypt's limits, by a limiter written
//! from the published rules: it never has to refuse anything.
//!
//! `EVERLEAF_DOMAINS=75` makes it three thousand names, which takes many minutes without
//! optimization.
//!
//! Asked are the rules on budgets, Retry-After, nonces and accounts; the others are held to in
//! smaller clusters.

#![allow(clippy::disallowed_methods, reason = "how many names to run is asked for outside")]

use everleaf_nodes::budget::LETS_ENCRYPT;
use everleaf_nodes::facts::Kind;
use everleaf_sim::invariants::Simulation;
use everleaf_sim::world::START;
use everleaf_sim::world::config::{Config, DAY};
use serde_json::json;

/// Registered domains without being asked for more: with their hosts, more names than an account
/// may order at once.
const DOMAINS: usize = 8;

/// Hosts of each: below fifty, for that many a week are certified.
const HOSTS: usize = 40;

#[test]
fn ninety_days_of_many_names_stay_inside_the_limits() {
    let domains = std::env::var("EVERLEAF_DOMAINS").ok().and_then(|text| text.parse().ok());
    let domains: usize = domains.unwrap_or(DOMAINS);
    let config = Config { acme: 1, healed_ms: 90 * DAY, ..Config::calm(90) };
    let mut simulation = Simulation::held_to(config, &["I15", "I16", "I20", "I23"]);
    for domain in 0..domains {
        let zone = format!("q{domain}-quarter.com");
        let hosts: Vec<String> = (0..HOSTS).map(|host| format!("h{host}")).collect();
        simulation.world.outside_mut().add_domain(&zone, domain, &hosts);
        for host in hosts {
            let name = format!("{host}-{domain}");
            let spec = json!({ "secretName": format!("{name}-tls"),
                "dnsNames": [format!("{host}.{zone}")], "issuerRef": { "name": "public" } });
            simulation.world.create_certificate_as_user("app", &name, spec);
        }
    }
    // 300 orders at once, and 100 an hour: three thousand take 27 hours.
    simulation.run_until(START + 2 * DAY).unwrap_or_else(|failure| panic!("{failure}"));
    let issued = simulation.world.orders_and_certificates().1;
    assert_eq!(issued, (domains * HOSTS) as u64, "certificates after two days");
    let world = simulation.run().unwrap_or_else(|failure| panic!("{failure}"));
    let ca = &world.outside().cas[LETS_ENCRYPT];
    let issued = ca.issued();
    assert_eq!(issued, 2 * (domains * HOSTS) as u64, "every name was renewed once");
    let certificates = world.all(Kind::Certificate);
    let unready = certificates.iter().filter(|certificate| {
        let conditions = certificate["status"]["conditions"].as_array();
        !conditions.into_iter().flatten().any(|c| c["type"] == "Ready" && c["status"] == "True")
    });
    assert_eq!(unready.count(), 0, "Certificates that are not Ready");
}
