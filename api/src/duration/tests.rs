use proptest::prelude::*;

use super::*;

fn nanos(text: &str) -> Option<i64> {
    text.parse::<GoDuration>().ok().map(|d| d.nanos())
}

#[test]
fn what_go_reads_is_read_with_its_value() {
    let second = 1_000_000_000;
    for (text, want) in [
        ("0", 0),
        ("+0", 0),
        ("-0", 0),
        ("5s", 5 * second),
        ("-1h", -3600 * second),
        ("2160h", 2160 * 3600 * second),
        ("1h30m0s", 5400 * second),
        ("1.5h", 5400 * second),
        (".5s", second / 2),
        ("1.s", second),
        ("100ms", second / 10),
        ("1us", 1_000),
        ("1\u{b5}s", 1_000),
        ("1\u{3bc}s", 1_000),
        ("-2m3.4s", -123_400_000_000),
        ("1h2m3s4ms5us6ns", 3_723_004_005_006),
        ("39h9m14.425s", 140_954_425_000_000),
        ("9223372036854775807ns", i64::MAX),
        ("-9223372036854775808ns", i64::MIN),
        ("9223372036s854ms775us807ns", i64::MAX),
    ] {
        assert_eq!(nanos(text), Some(want), "{text}");
    }
}

#[test]
fn long_fractions_round_as_go_rounds_them() {
    assert_eq!(nanos("0.3333333333333333333h"), Some(1_200_000_000_000));
    assert_eq!(nanos("0.100000000000000000000h"), Some(360_000_000_000));
    assert_eq!(nanos("0.830103483285477580700h"), Some(2_988_372_539_827));
    assert_eq!(nanos("0.9223372036854775807s"), Some(922_337_203));
}

#[test]
fn what_go_refuses_is_refused() {
    for bad in [
        "",
        "3",
        "-",
        "s",
        ".",
        "-.",
        ".s",
        "+.s",
        "1d",
        "90 d",
        "1h ",
        " 1h",
        "1x",
        "--1h",
        "1.2.3h",
        "9223372036854775808ns",
        "9223372036854775.808us",
        "-9223372036854775809ns",
        "3000000h",
        "10000000000000000000000h",
    ] {
        assert_eq!(nanos(bad), None, "{bad}");
    }
}

#[test]
fn errors_say_what_is_wrong() {
    let error = |text: &str| text.parse::<GoDuration>().unwrap_err().to_string();
    assert!(error("90d").contains("unknown unit \"d\""));
    assert!(error("90").contains("lacks a unit"));
    assert!(error("3000000h").contains("too long"));
}

#[test]
fn prints_as_go_prints() {
    for (nanos, want) in [
        (0, "0s"),
        (1, "1ns"),
        (1_100, "1.1\u{b5}s"),
        (2_200_000, "2.2ms"),
        (3_300_000_000, "3.3s"),
        (245_001_000_000, "4m5.001s"),
        (18_367_001_000_000, "5h6m7.001s"),
        (480_000_000_001, "8m0.000000001s"),
        (2160 * 3600 * 1_000_000_000, "2160h0m0s"),
        (i64::MAX, "2562047h47m16.854775807s"),
        (i64::MIN, "-2562047h47m16.854775808s"),
    ] {
        assert_eq!(GoDuration::from_nanos(nanos).to_string(), want);
    }
}

#[test]
fn a_users_spelling_survives_and_does_not_count() {
    let spelled: GoDuration = serde_json::from_str("\"90m\"").unwrap();
    assert_eq!(serde_json::to_string(&spelled).unwrap(), "\"90m\"");
    assert_eq!(spelled, GoDuration::from_seconds(5400));
    assert_eq!(spelled.canonical(), "1h30m0s");
}

proptest! {
    /// The text is built from its parts by plain integer arithmetic, the parser's result is not.
    #[test]
    fn parts_add_up(
        h in 0i64..2_000_000,
        m in 0i64..600,
        s in 0i64..600,
        ms in 0i64..5000,
        neg: bool,
    ) {
        let text = format!("{}{h}h{m}m{s}s{ms}ms", if neg { "-" } else { "" });
        let want = ((h * 60 + m) * 60 + s) * 1_000_000_000 + ms * 1_000_000;
        prop_assert_eq!(nanos(&text), Some(if neg { -want } else { want }));
    }

    #[test]
    fn the_printed_form_reads_back(n: i64) {
        let printed = GoDuration::from_nanos(n).to_string();
        prop_assert_eq!(nanos(&printed), Some(n));
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in ".*") {
        let _ = text.parse::<GoDuration>();
    }

    #[test]
    fn no_near_miss_makes_the_parser_panic(
        text in "[-+]?([0-9]{0,25}\\.?[0-9]{0,25}[a-z\u{b5}]{0,2}){0,4}",
    ) {
        let _ = text.parse::<GoDuration>();
    }
}
