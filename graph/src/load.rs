//! From files to a plan.

use crate::check;
use crate::draft::{Draft, resolve};
use crate::fault::{At, Fault, Faults, Report};
use crate::model::{Feed, Feeds, Machine, Plan, Reader, Watch};
use crate::raw::{self, RawFeeds};
use crate::yaml;

/// The stem of the file that holds the feeds.
const FEEDS: &str = "feeds";

impl Plan {
    /// Reads and checks a plan: pairs of a file's name and its text. The stem of the name is the
    /// machine's name, except for `feeds`, which has to be among them.
    ///
    /// # Errors
    /// Everything that is wrong with any of the files, at once.
    pub fn load(files: &[(&str, &str)]) -> Result<Plan, Faults> {
        let mut loaded = Loaded::default();
        for (file, text) in files {
            loaded.read(file, text);
        }
        loaded.check();
        if loaded.faults.is_empty() { Ok(loaded.plan()) } else { Err(Faults::new(loaded.faults)) }
    }
}

/// What was read so far.
#[derive(Default)]
struct Loaded {
    /// Each machine with the name of its file.
    machines: Vec<(String, Draft)>,
    /// The feeds with the name of their file.
    feeds: Option<(String, RawFeeds)>,
    /// The stems of all files, including those that could not be read.
    stems: Vec<String>,
    faults: Vec<Fault>,
}

impl Loaded {
    fn read(&mut self, file: &str, text: &str) {
        let mut report = Report::new(file);
        let stem = stem(file).to_owned();
        if self.stems.contains(&stem) {
            report.add(At::TOP, format!("there are two files called {stem:?}; remove one"));
        }
        if let Some(root) = yaml::parse(text, &mut report) {
            if stem == FEEDS {
                let feeds = raw::feeds(root, &mut report);
                self.feeds = feeds.map(|feeds| (file.to_owned(), feeds));
            } else if let Some(raw) = raw::machine(root, &mut report) {
                let draft = resolve(raw, &stem, &mut report);
                check::machine(&draft, &stem, &mut report);
                self.machines.push((file.to_owned(), draft));
            }
        }
        self.stems.push(stem);
        self.faults.extend(report.into_faults());
    }

    /// Checks what concerns more than one file.
    fn check(&mut self) {
        self.machines.sort_by(|(_, a), (_, b)| a.name.text.cmp(&b.name.text));
        let Some((file, feeds)) = &self.feeds else {
            if !self.stems.iter().any(|stem| stem == FEEDS) {
                let mut report = Report::new("feeds.yaml");
                report.add(At::TOP, "there is no such file; write one with watches and feeds");
                self.faults.extend(report.into_faults());
            }
            return;
        };
        let machines: Vec<&Draft> = self.machines.iter().map(|(_, draft)| draft).collect();
        let mut report = Report::new(file);
        check::feeds(feeds, &machines, &self.stems, &mut report);
        self.faults.extend(report.into_faults());
        for (file, draft) in &self.machines {
            let mut report = Report::new(file);
            check::object(draft, feeds, &mut report);
            self.faults.extend(report.into_faults());
        }
    }

    /// The plan, if nothing was wrong.
    fn plan(self) -> Plan {
        let drafts = self.machines.into_iter();
        let machines: Vec<Machine> = drafts.map(|(_, draft)| draft.finish()).collect();
        let feeds = self.feeds.map(|(_, feeds)| finish(feeds, &machines)).unwrap_or_default();
        Plan { machines, feeds }
    }
}

fn finish(raw: RawFeeds, machines: &[Machine]) -> Feeds {
    let watch = |raw: raw::RawWatch| {
        let raw::RawWatch { kind, group, about, internal } = raw;
        Watch { kind: kind.text, group, about, internal }
    };
    let watches = raw.watches.into_iter().map(watch).collect();
    let mut feeds = Feeds { watches, readers: Vec::new() };
    for (name, kinds) in raw.readers {
        let kinds = kinds.into_iter();
        let kinds =
            kinds.filter_map(|(kind, by)| Some(Feed { watch: feeds.watch(&kind.text)?, by }));
        let kinds = kinds.collect();
        if let Some(machine) = machines.iter().position(|machine| machine.name == name.text) {
            feeds.readers.push(Reader { machine, kinds });
        }
    }
    feeds
}

/// The last part of a path, without its extension.
fn stem(file: &str) -> &str {
    let name = file.rsplit(['/', '\\']).next().unwrap_or(file);
    name.split('.').next().unwrap_or(name)
}
