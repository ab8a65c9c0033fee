//! Every change of one thing at a time is explained by edges of the plan.

use everleaf_graph::Machine;

fn machine(name: &str) -> Machine {
    everleaf_nodes::compiled_plan().machine(name).expect("the plan has it").clone()
}

/// A machine's truth word, from facts that grow one after the other and facts that turn alone.
struct Worlds<'a> {
    machine: &'a Machine,
    /// Each implies those before it.
    chain: &'a [&'a str],
    /// These turn alone.
    free: &'a [&'a str],
}

impl Worlds<'_> {
    fn bit(&self, name: &str) -> u64 {
        let bit = self.machine.bit(name);
        1 << bit.unwrap_or_else(|| panic!("{} has no bit {name:?}", self.machine.name))
    }

    fn truth(&self, level: usize, free: usize, fix: &dyn Fn(usize, &mut Vec<&str>)) -> u64 {
        let mut facts: Vec<&str> = self.chain[..level].to_vec();
        let turned = self.free.iter().enumerate().filter(|(index, _)| free >> index & 1 == 1);
        facts.extend(turned.map(|(_, name)| *name));
        fix(level, &mut facts);
        facts.iter().fold(0, |truth, name| truth | self.bit(name))
    }

    /// Checks all moves by one thing; `fix` takes facts out that cannot hold at a level.
    fn check(&self, fix: &dyn Fn(usize, &mut Vec<&str>)) {
        for level in 0..=self.chain.len() {
            for free in 0..1_usize << self.free.len() {
                let old = self.truth(level, free, fix);
                for bit in 0..self.free.len() {
                    self.explained(old, self.truth(level, free ^ (1 << bit), fix));
                }
                for other in 0..=self.chain.len() {
                    self.explained(old, self.truth(other, free, fix));
                }
            }
        }
    }

    fn explained(&self, old: u64, new: u64) {
        let (from, to) = (self.machine.locate(old), self.machine.locate(new));
        let deleting = self.bit("deleting");
        if old & deleting != 0 && new & deleting == 0 {
            return; // A deletion is never taken back.
        }
        let path = self.machine.explain(from, old, to, new);
        assert!(
            path.is_some(),
            "{}: {} -> {} is not explained; before {}, after {}",
            self.machine.name,
            self.machine.states[from].name,
            self.machine.states[to].name,
            self.names(old),
            self.names(new),
        );
    }

    fn names(&self, truth: u64) -> String {
        let all = self.chain.iter().chain(self.free);
        let held: Vec<&str> = all.copied().filter(|name| truth & self.bit(name) != 0).collect();
        held.join(" ")
    }
}

fn without(facts: &mut Vec<&str>, names: &[&str]) {
    facts.retain(|fact| !names.contains(fact));
}

#[test]
fn orders_move_along_the_plan() {
    let machine = machine("order");
    let worlds = Worlds {
        machine: &machine,
        chain: &["claimed", "placed", "listed", "solved"],
        free: &[
            "deleting",
            "settled",
            "littered",
            "reported",
            "served",
            "failed",
            "rivalled",
            "unsolvable",
            "challenged",
            "lost",
            "budget",
            "patience",
        ],
    };
    worlds.check(&|level, facts| {
        if level != 3 {
            without(facts, &["unsolvable", "lost"]);
        }
        if level < 3 {
            without(facts, &["challenged"]);
        }
        if level > 0 {
            without(facts, &["rivalled"]);
        }
        if !facts.contains(&"failed") {
            without(facts, &["patience"]);
        }
    });
}

#[test]
fn challenges_move_along_the_plan() {
    let machine = machine("challenge");
    let worlds = Worlds {
        machine: &machine,
        chain: &["admitted", "guarded", "presented", "seen", "accepted"],
        free: &["deleting", "clean", "final", "reported", "served", "failed", "patience"],
    };
    worlds.check(&|_, facts| {
        if !facts.contains(&"failed") {
            without(facts, &["patience"]);
        }
    });
}

#[test]
fn issuers_move_along_the_plan() {
    for name in ["issuer", "clusterissuer"] {
        let machine = machine(name);
        let worlds = Worlds {
            machine: &machine,
            chain: &["unregistered", "failed"],
            free: &["deleting", "unread", "reported", "sound", "expiry", "patience"],
        };
        worlds.check(&|level, facts| {
            if level > 0 {
                without(facts, &["sound"]);
            }
            if level < 2 {
                without(facts, &["patience"]);
            }
            if !facts.contains(&"sound") {
                without(facts, &["expiry"]);
            }
        });
    }
}

#[test]
fn requests_of_acme_issuers_move_along_the_plan() {
    let machine = machine("request");
    let worlds = Worlds {
        machine: &machine,
        chain: &["orderly", "ordered"],
        free: &["deleting", "approved", "reported", "served", "unread", "delivered"],
    };
    worlds.check(&|level, facts| {
        if level > 0 {
            without(facts, &["unread"]);
        }
    });
}
