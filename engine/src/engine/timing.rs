//! What each state of a plan waits for, worked out once.

use everleaf_graph::{Bit, Machine, Plan, WaitKind};

/// The waits of one state, by number.
#[derive(Default)]
pub(super) struct StateTiming {
    /// Those of which the program knows the instant.
    pub until: Vec<u8>,
    /// Those that go on and on, with their periods in milliseconds.
    pub every: Vec<(u8, i64)>,
}

/// The waits of every state of every machine.
pub(super) struct Timing(Vec<Vec<StateTiming>>);

impl Timing {
    pub(super) fn of(plan: &Plan) -> Self {
        let machine = |m: &Machine| (0..m.states.len()).map(|state| timing(m, state)).collect();
        Self(plan.machines.iter().map(machine).collect())
    }

    pub(super) fn get(&self, machine: usize, state: usize) -> Option<&StateTiming> {
        self.0.get(machine)?.get(state)
    }
}

fn timing(machine: &Machine, state: usize) -> StateTiming {
    let mut timing = StateTiming::default();
    for (number, wait) in (0_u8..).zip(&machine.waits) {
        let listed = machine.states[state].waits.contains(&usize::from(number));
        match wait.kind {
            WaitKind::Until { .. } if listed => timing.until.push(number),
            WaitKind::Every { ms } if listed => timing.every.push((number, ms.max(1))),
            _ if decides(machine, state, usize::from(number)) => timing.until.push(number),
            _ => {}
        }
    }
    timing
}

/// Whether an object would leave the state, if only because the wait falls due: the state's own
/// `when` asks for it, or that of a state that is tried before.
fn decides(machine: &Machine, state: usize, wait: usize) -> bool {
    let bit = machine.bits.iter().position(|bit| *bit == Bit::Due(wait));
    let asked =
        |mask: u64| machine.states[..=state].iter().any(|s| (s.required | s.forbidden) & mask != 0);
    bit.is_some_and(|bit| asked(1 << bit))
}
