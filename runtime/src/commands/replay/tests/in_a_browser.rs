//! The page as a real browser shows it. Without one on the PATH these tests are skipped aloud.

use super::*;
use std::io::Write as _;
use std::process::{Command, Stdio};

const BROWSERS: [&str; 4] =
    ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// A browser that can be started; says so if there is none.
fn browser(test: &str) -> Option<&'static str> {
    let starts = |name: &&str| {
        let version = Command::new(name).arg("--version").stdout(Stdio::null()).status();
        version.is_ok_and(|status| status.success())
    };
    let found = BROWSERS.into_iter().find(starts);
    if found.is_none() {
        let _ = writeln!(std::io::stderr(), "SKIPPED {test}: no Chromium on the PATH");
    }
    found
}

/// What the page looks like after its script has run.
struct Shown {
    dom: String,
}

impl Shown {
    /// Opens a page with a fragment; nothing may be said on the console and nothing fetched.
    fn new(browser: &str, directory: &Directory, page: &Path, fragment: &str) -> Self {
        let profile = directory.0.join(format!("profile-{}", fragment.len()));
        let output = Command::new(browser)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
            .args(["--no-first-run", "--disable-extensions", "--disable-background-networking"])
            .args(["--enable-logging=stderr", "--log-level=0", "--virtual-time-budget=20000"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .args(["--dump-dom", &format!("file://{}#{fragment}", page.display())])
            .output()
            .expect("it was started before");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let console: Vec<&str> = said.lines().filter(|line| line.contains("CONSOLE")).collect();
        assert!(console.is_empty(), "the page said on the console: {console:?}");
        assert!(output.status.success(), "{said}");
        Self { dom: String::from_utf8(output.stdout).expect("a DOM is text") }
    }

    fn count(&self) -> &str {
        let (_, rest) = self.dom.split_once("<output id=\"count\">").expect("it counts");
        rest.split_once("</output>").expect("it ends").0
    }

    /// The rows of entries.
    fn entries(&self) -> Vec<&str> {
        let (_, table) = self.dom.split_once("<tbody id=\"entries\">").expect("a table");
        let (table, _) = table.split_once("</tbody>").expect("it ends");
        table.split("<tr ").skip(1).collect()
    }

    fn lanes(&self) -> usize {
        let (_, table) = self.dom.split_once("<tbody id=\"lanes\">").expect("a table");
        table.split_once("</tbody>").expect("it ends").0.matches("<tr ").count()
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_795_400_000 + seconds)
}

fn key(name: &str) -> ObjectKey<Kind> {
    ObjectKey::new(Kind::Certificate, "demo", name)
}

fn written(directory: &Directory, story: &Story) -> PathBuf {
    let page = directory.0.join("page.html");
    write_page(&page, story, None, vec!["a note with <b> & \"quotes\"".to_owned()]).unwrap();
    page
}

#[test]
fn a_page_is_searched_and_filtered_by_its_fragment_and_says_nothing_on_the_console() {
    let Some(browser) = browser("a page in a browser") else { return };
    let directory = Directory::new("page");
    let mut story = Story::new(Bounds::default());
    for number in 0..30 {
        let name = format!("web-{}", number % 3);
        story.note(at(number), Some(&key(&name)), number % 10 == 9, format!("happening-{number}."));
    }
    let page = written(&directory, &story);
    let all = Shown::new(browser, &directory, &page, "");
    assert_eq!(all.count(), "30 of 30 entries, 3 of 3 objects");
    assert_eq!((all.entries().len(), all.lanes()), (30, 3));
    assert!(all.dom.contains("a note with &lt;b&gt; &amp; \"quotes\""), "it is text");
    let found = Shown::new(browser, &directory, &page, "q=WEB-1%20happening-13.");
    assert_eq!(found.count(), "1 of 30 entries, 1 of 3 objects");
    assert!(found.entries()[0].contains("happening-13."), "{:?}", found.entries());
    let errors = Shown::new(browser, &directory, &page, "kinds=error");
    assert_eq!(errors.count(), "3 of 30 entries, 3 of 3 objects");
    let object = Shown::new(browser, &directory, &page, "object=Certificate/demo/web-2");
    assert_eq!(object.count(), "10 of 30 entries, 1 of 3 objects");
}

#[test]
fn what_anybody_wrote_is_shown_as_text_and_runs_nothing() {
    let Some(browser) = browser("hostile text in a browser") else { return };
    let directory = Directory::new("hostile");
    let mut story = Story::new(Bounds::default());
    let hostile = "</script><script>document.title='owned'</script><img src=x onerror=\
                   \"document.title='owned'\">\u{2028}<!--<script>";
    story.note(at(0), Some(&key("</title><script>alert(1)</script>")), true, hostile.to_owned());
    let page = written(&directory, &story);
    let shown = Shown::new(browser, &directory, &page, "");
    assert_eq!(shown.count(), "1 of 1 entries, 1 of 1 objects");
    assert!(shown.dom.contains("<title>everleaf, 2026-"), "nothing set the title");
    assert!(!shown.dom.contains("<img"), "no element was made of text");
    assert!(shown.entries()[0].contains("&lt;img src=x"), "{:?}", shown.entries());
}

#[test]
fn tens_of_thousands_of_entries_are_shown_bounded_and_what_is_left_out_is_said() {
    let Some(browser) = browser("a long story in a browser") else { return };
    let directory = Directory::new("long");
    let mut story = Story::new(Bounds { objects: 500, weighty: 30_000, plain: 20_000 });
    for number in 0..60_000 {
        let name = format!("web-{}", number % 600);
        story.note(at(number), Some(&key(&name)), number % 2 == 0, format!("happening {number}"));
    }
    assert!(
        story.left_out().contains("observations, effects and waits before"),
        "{}",
        story.left_out()
    );
    let page = written(&directory, &story);
    let shown = Shown::new(browser, &directory, &page, "q=happening%2059999");
    assert!(shown.count().starts_with("1 of 50000 entries"), "{}", shown.count());
    let all = Shown::new(browser, &directory, &page, "kinds=error,seen");
    assert_eq!((all.entries().len(), all.lanes()), (500, 100));
    assert!(all.dom.contains("show more: 49500 entries follow"), "{}", all.count());
    assert!(all.dom.contains("left out: "), "the page says what it lacks");
}

#[tokio::test]
async fn both_runs_stand_side_by_side_and_what_differs_can_be_asked_for() {
    let Some(browser) = browser("both runs in a browser") else { return };
    let recorded = recorded::recording("sides").await;
    let change = "spec.issuerRef.name=quokka-self@Certificate/demo/ocelot";
    let both = recorded::with(&recorded, change).expect("it changes something");
    let page = recorded.0.join("page.html");
    let beside = Beside {
        changed: both.changed.clone(),
        story: &both.other,
        ends: both.ends(),
        numbers: both.numbers(),
    };
    write_page(&page, &both.recorded, Some(&beside), both.notes()).unwrap();
    let shown = Shown::new(browser, &recorded, &page, "differs=1");
    let (_, head) = shown.dom.split_once("<tr id=\"head\">").expect("a head");
    let head = head.split_once("</tr>").expect("it ends").0;
    assert_eq!(head.matches("<th>").count(), 4, "time, object and two runs: {head}");
    assert!(head.contains(&format!("what if {change}")), "{head}");
    assert!(shown.dom.contains("what if: not known after 20"), "the lane says where it ends");
    let rows = shown.entries();
    assert!(!rows.is_empty() && rows.iter().all(|row| row.contains("differs")), "{rows:?}");
    assert!(
        rows.iter().all(|row| row.contains("Certificate/demo/ocelot")),
        "nobody else: {rows:?}"
    );
}

#[test]
fn a_page_asks_for_nothing_and_allows_no_script_but_its_own() {
    let page = page::page(
        Everleaf::new(Options::default()).plan(),
        &Story::new(Bounds::default()),
        None,
        &[],
    );
    assert!(page.contains("default-src 'none'"));
    for asks in ["http://", "https://", "src=", "url(", "@import", "fetch(", "XMLHttp"] {
        let found = page.matches(asks).count();
        // The name of SVG's elements is no address that is asked for anything.
        let names = page.matches("http://www.w3.org/2000/svg").count();
        let allowed = if asks == "http://" { names } else { 0 };
        assert_eq!(found, allowed, "{asks}");
    }
    assert!(!page.contains("innerHTML") && !page.contains("insertAdjacent"));
}
