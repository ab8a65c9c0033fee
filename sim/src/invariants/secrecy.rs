//! I36: no private key leaves.

use super::{Invariant, Watcher};
use crate::world::World;
use crate::world::event::Event;
use crate::world::material::CANARY;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use everleaf_nodes::facts::Kind;

pub(super) fn all() -> Vec<Box<dyn Invariant>> {
    vec![Box::new(Canary)]
}

/// The canary of every key is found in Secrets and in memory, and nowhere else.
struct Canary;

fn sings(text: &str) -> bool {
    text.contains(CANARY)
}

/// Whether some alignment of the canary in base64 occurs.
fn sings_in_base64(text: &str) -> bool {
    (0..3).any(|shift| {
        let padded = format!("{}{CANARY}", "x".repeat(shift));
        let encoded = STANDARD.encode(padded);
        text.contains(&encoded[4..encoded.len() - 4])
    })
}

impl Invariant for Canary {
    fn id(&self) -> &'static str {
        "I36"
    }

    fn look(&mut self, world: &World, _: &Watcher, event: &Event) -> Result<(), String> {
        match event {
            Event::Said { subject, event, .. } if sings(&event.message) => {
                Err(format!("an Event on {subject} tells a key"))
            }
            Event::End => {
                let kinds = Kind::ALL.into_iter();
                let kinds = kinds.filter(|kind| !matches!(kind, Kind::Secret | Kind::Key));
                for object in kinds.flat_map(|kind| world.all(kind)) {
                    let text = object.to_string();
                    if sings(&text) || sings_in_base64(&text) {
                        return Err(format!("{} tells a key", super::model::name(&object)));
                    }
                }
                if world.log.iter().any(|line| sings(line)) {
                    return Err("the log tells a key".to_owned());
                }
                let pages = world.replicas.iter().map(|replica| &replica.pages);
                for pages in pages.chain(&world.journals) {
                    let bytes = pages.bytes();
                    let text = String::from_utf8_lossy(&bytes);
                    if sings(&text) || sings_in_base64(&text) {
                        return Err("a journal tells a key".to_owned());
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
