//! What is shown of a run: at a terminal a table that lives, with a row for each object and the
//! last that happened to it; elsewhere a line for everything that happens.

use crate::commands::print;
use crate::operator::Decision;
use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Rows at once: those that changed last.
const ROWS: usize = 12;
/// Letters of an object's name, and of a state's.
const WIDTHS: (usize, usize) = (44, 18);

/// Where a run is shown.
pub(super) struct Show {
    started: Instant,
    /// The table, while there is one.
    table: Mutex<Option<Table>>,
}

#[derive(Default)]
struct Table {
    rows: Vec<Row>,
    /// Lines on the screen.
    drawn: usize,
    changes: u64,
}

struct Row {
    object: String,
    state: String,
    why: String,
    /// When it changed last, counted in changes.
    changed: u64,
}

impl Show {
    /// Begins: with a table at a terminal.
    pub(super) fn begin() -> Self {
        let live = std::io::stdout().is_terminal();
        Self { started: Instant::now(), table: Mutex::new(live.then(Table::default)) }
    }

    /// The time since the beginning.
    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// A line that stays.
    pub(super) fn say(&self, text: &str) {
        let passed = self.elapsed();
        let line = format!("{:>3}.{:03} s  {text}\n", passed.as_secs(), passed.subsec_millis());
        self.print(&line);
    }

    /// Lines that stay, without the time.
    pub(super) fn print(&self, lines: &str) {
        match self.table.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            Some(table) => print(&format!("{}{lines}{}", table.erased(), table.drawing())),
            None => print(lines),
        }
    }

    /// Something was decided.
    pub(super) fn decided(&self, decision: &Decision) {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        match table.as_mut() {
            Some(table) => {
                let erased = table.erased();
                table.take(decision);
                print(&format!("{erased}{}", table.drawing()));
            }
            None => {
                drop(table);
                self.say(&in_words(decision));
            }
        }
    }

    /// The table stays as it is; what happens from now on has lines.
    pub(super) fn settle(&self) {
        *self.table.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

fn in_words(decision: &Decision) -> String {
    let Decision { object, from, to, .. } = decision;
    format!("{object}: {from} -> {to}: {}", why(decision))
}

fn why(decision: &Decision) -> &str {
    decision.why.as_deref().unwrap_or("the plan does not explain it")
}

impl Table {
    fn take(&mut self, decision: &Decision) {
        self.changes += 1;
        let (object, state) = (decision.object.to_string(), decision.to.to_string());
        let (why, changed) = (why(decision).to_owned(), self.changes);
        match self.rows.iter_mut().find(|row| row.object == object) {
            Some(row) => *row = Row { object, state, why, changed },
            None => self.rows.push(Row { object, state, why, changed }),
        }
        if self.rows.len() > ROWS {
            let oldest = self.rows.iter().map(|row| row.changed).min();
            self.rows.retain(|row| Some(row.changed) != oldest);
        }
    }

    /// What takes the table off the screen.
    fn erased(&mut self) -> String {
        match std::mem::take(&mut self.drawn) {
            0 => String::new(),
            lines => format!("\x1b[{lines}A\x1b[J"),
        }
    }

    /// What draws it. Lines do not wrap, so that each is one line of the screen.
    fn drawing(&mut self) -> String {
        let (object, state) = WIDTHS;
        let mut out = String::from("\x1b[?7l");
        for row in &self.rows {
            let (bold, plain) =
                if row.changed == self.changes { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
            // Writing into a String cannot fail.
            let _ = writeln!(
                out,
                "{bold}  {:<object$} {:<state$} {}{plain}",
                row.object, row.state, row.why
            );
        }
        self.drawn = self.rows.len();
        out + "\x1b[?7h"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(table: &mut Table, object: &str) {
        table.changes += 1;
        let (state, why) = ("fresh".to_owned(), "so".to_owned());
        table.rows.push(Row { object: object.to_owned(), state, why, changed: table.changes });
    }

    #[test]
    fn what_was_drawn_is_erased_by_as_many_lines() {
        let mut table = Table::default();
        assert_eq!(table.erased(), "", "nothing is there yet");
        row(&mut table, "a");
        row(&mut table, "b");
        let drawing = table.drawing();
        assert_eq!(drawing.matches('\n').count(), 2);
        assert!(drawing.starts_with("\x1b[?7l") && drawing.ends_with("\x1b[?7h"));
        assert_eq!(table.erased(), "\x1b[2A\x1b[J");
    }
}
