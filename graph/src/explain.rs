//! Which edges explain a move.

use std::collections::VecDeque;

use crate::model::Machine;

/// A place of the search: a state, and whether the path to it holds a literal that turned.
type Place = (usize, bool);

impl Machine {
    /// The shortest path of edges that leads from one state to another and explains the move: the
    /// trigger of every edge holds under the new truth word, and at least one turned between the
    /// two. Among paths of one length, the edges that come first in the file.
    ///
    /// The path is empty if the states are the same; `None` if nothing explains the move.
    pub fn explain(
        &self,
        old_state: usize,
        old_truth: u64,
        new_state: usize,
        new_truth: u64,
    ) -> Option<Vec<usize>> {
        if old_state == new_state {
            return Some(Vec::new());
        }
        let mut came = vec![[None; 2]; self.states.len().max(old_state + 1)];
        let mut queue = VecDeque::from([(old_state, false)]);
        while let Some((state, turned)) = queue.pop_front() {
            if state == new_state && turned {
                return Some(self.path(&came, (old_state, false), (state, turned)));
            }
            for (index, edge) in self.edges.iter().enumerate() {
                if edge.from != state || !edge.on.holds(new_truth) {
                    continue;
                }
                let next = (edge.to, turned || !edge.on.holds(old_truth));
                let seen = &mut came[next.0][usize::from(next.1)];
                if seen.is_none() && next != (old_state, false) {
                    *seen = Some((index, turned));
                    queue.push_back(next);
                }
            }
        }
        None
    }

    /// Walks back from the end to the beginning of a path that was found.
    fn path(&self, came: &[[Option<(usize, bool)>; 2]], from: Place, to: Place) -> Vec<usize> {
        let (mut path, mut place) = (Vec::new(), to);
        while place != from {
            let Some((edge, turned)) = came[place.0][usize::from(place.1)] else { break };
            path.push(edge);
            place = (self.edges[edge].from, turned);
        }
        path.reverse();
        path
    }
}
