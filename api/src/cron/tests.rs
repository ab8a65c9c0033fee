use proptest::prelude::*;

use super::*;

fn time(text: &str) -> Time {
    text.parse().unwrap()
}

fn next(expression: &str, zone: &str, after: &str) -> Option<String> {
    let schedule = Schedule::parse(expression, zone).unwrap();
    schedule.next_after(time(after)).map(|t| t.to_string())
}

#[test]
fn the_next_time_is_found_in_utc() {
    for (expression, after, want) in [
        ("* * * * *", "2026-11-22T16:23:53Z", "2026-11-22T16:24:00Z"),
        ("* * * * *", "2026-11-22T16:24:00Z", "2026-11-22T16:25:00Z"),
        ("0 3 * * *", "2026-11-22T03:00:00Z", "2026-11-23T03:00:00Z"),
        ("30 2 * * sun", "2026-11-22T03:00:00Z", "2026-11-29T02:30:00Z"),
        ("0 0 31 * *", "2026-11-22T00:00:00Z", "2026-12-31T00:00:00Z"),
        ("0 0 29 2 *", "2026-11-22T00:00:00Z", "2028-02-29T00:00:00Z"),
        ("*/15 9-17/4 * JAN-mar mon,FRI", "2026-11-22T00:00:00Z", "2027-01-01T09:00:00Z"),
        ("5/20 * * * *", "2026-11-22T00:26:00Z", "2026-11-22T00:45:00Z"),
        ("@yearly", "2026-11-22T00:00:00Z", "2027-01-01T00:00:00Z"),
        ("@monthly", "2026-11-22T00:00:00Z", "2026-12-01T00:00:00Z"),
        ("@weekly", "2026-11-22T00:00:00Z", "2026-11-29T00:00:00Z"),
        ("@midnight", "2026-11-22T16:00:00Z", "2026-11-23T00:00:00Z"),
        ("@hourly", "2026-11-22T16:23:53Z", "2026-11-22T17:00:00Z"),
        ("@every 90m", "2026-11-22T16:23:53Z", "2026-11-22T17:53:53Z"),
        ("@every 1ms", "2026-11-22T16:23:53Z", "2026-11-22T16:23:54Z"),
    ] {
        assert_eq!(next(expression, "", after).as_deref(), Some(want), "{expression}");
    }
}

#[test]
fn two_restricted_day_fields_are_alternatives_and_a_star_makes_them_conditions() {
    // 2026-11-22 is a Sunday.
    let after = "2026-11-22T00:00:00Z";
    assert_eq!(next("0 0 25 * mon", "", after).unwrap(), "2026-11-23T00:00:00Z");
    assert_eq!(next("0 0 25 * *", "", after).unwrap(), "2026-11-25T00:00:00Z");
    assert_eq!(next("0 0 25 * ?", "", after).unwrap(), "2026-11-25T00:00:00Z");
    assert_eq!(next("0 0 25 * */1", "", after).unwrap(), "2026-11-25T00:00:00Z");
    // A stepped star restricts: Sunday, Tuesday, Thursday or Saturday, or the 25th.
    assert_eq!(next("0 0 25 * */2", "", after).unwrap(), "2026-11-24T00:00:00Z");
}

#[test]
fn a_prefix_overrides_the_zone() {
    let after = "2026-11-22T00:00:00Z";
    assert_eq!(next("0 3 * * *", "Europe/Berlin", after).unwrap(), "2026-11-22T02:00:00Z");
    let prefixed = "CRON_TZ=Asia/Tokyo 0 3 * * *";
    assert_eq!(next(prefixed, "Europe/Berlin", after).unwrap(), "2026-11-22T18:00:00Z");
    assert_eq!(next("TZ=UTC @daily", "Asia/Tokyo", after).unwrap(), "2026-11-23T00:00:00Z");
}

#[test]
fn an_hour_that_does_not_exist_is_left_out() {
    // Berlin: 2027-03-28 02:00 becomes 03:00.
    let after = "2027-03-27T12:00:00Z";
    assert_eq!(next("30 2 * * *", "Europe/Berlin", after).unwrap(), "2027-03-29T00:30:00Z");
    assert_eq!(next("0 3 * * *", "Europe/Berlin", after).unwrap(), "2027-03-28T01:00:00Z");
}

#[test]
fn an_hour_that_exists_twice_counts_twice() {
    // Berlin: 2026-10-25 03:00 becomes 02:00.
    let first = next("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z").unwrap();
    assert_eq!(first, "2026-10-25T00:30:00Z");
    let second = next("30 2 * * *", "Europe/Berlin", &first).unwrap();
    assert_eq!(second, "2026-10-25T01:30:00Z");
}

#[test]
fn the_search_ends_after_five_years() {
    assert_eq!(next("0 0 30 2 *", "", "2026-11-22T00:00:00Z"), None);
    assert_eq!(next("0 0 29 2 *", "", "2096-03-01T00:00:00Z"), None);
    assert_eq!(next("0 0 * * *", "Europe/Berlin", "9999-12-31T12:00:00Z"), None);
    assert_eq!(next("@every 24h", "", "9999-12-31T12:00:00Z"), None);
}

#[test]
fn what_the_dialect_lacks_is_refused_with_a_reason() {
    for (bad, why) in [
        ("", "found 0"),
        ("* * * *", "found 4"),
        ("0 * * * * *", "found 6"),
        ("60 * * * *", "from 0 to 59"),
        ("* 24 * * *", "from 0 to 23"),
        ("* * 0 * *", "from 1 to 31"),
        ("* * * 13 *", "from 1 to 12"),
        ("* * * * 7", "from 0 to 6"),
        ("* * * * sun-sat-mon", "is no number"),
        ("5-3 * * * *", "5 comes after 3"),
        ("*/0 * * * *", "step"),
        ("*/1/2 * * * *", "is no number"),
        ("-5 * * * *", "is no number"),
        ("L * * * *", "is no number"),
        (", * * * *", "is empty"),
        ("@reboot", "@yearly"),
        ("@every", "@every"),
        ("@every 5", "unit"),
        ("TZ=Mars/Olympus * * * * *", "Mars/Olympus"),
        ("TZ=UTC", "found 0"),
    ] {
        let error = Schedule::parse(bad, "").unwrap_err().to_string();
        assert!(error.contains(why), "{bad}: {error}");
    }
    assert!(Schedule::parse("@daily", "Nowhere").is_err());
}

/// The definition, minute by minute: the first whole minute whose wall clock matches every field.
fn brute_force(
    fields: &[Vec<i8>; 5],
    stars: [bool; 2],
    zone: &TimeZone,
    after: Time,
) -> Option<Time> {
    let first = after.unix().div_euclid(60) + 1;
    let [minutes, hours, days, months, weekdays] = fields;
    (first..first + 60 * 24 * 70).map(|minute| minute * 60).find_map(|second| {
        let at = Timestamp::from_second(second).unwrap().to_zoned(zone.clone());
        let day = days.contains(&at.day());
        let weekday = weekdays.contains(&at.weekday().to_sunday_zero_offset());
        let dates = if stars[0] || stars[1] { day && weekday } else { day || weekday };
        let time = minutes.contains(&at.minute()) && hours.contains(&at.hour());
        (time && dates && months.contains(&at.month())).then(|| Time::clamped(second))
    })
}

fn field(min: i8, max: i8) -> impl Strategy<Value = (String, Vec<i8>, bool)> {
    prop_oneof![
        2 => Just(("*".to_owned(), (min..=max).collect(), true)),
        1 => (2i8..9).prop_map(move |step| {
            let values = (min..=max).step_by(step as usize).collect();
            (format!("*/{step}"), values, false)
        }),
        2 => prop::collection::vec(min..=max, 1..4).prop_map(|values| {
            let text: Vec<String> = values.iter().map(ToString::to_string).collect();
            (text.join(","), values, false)
        }),
        1 => (min..=max, min..=max).prop_map(|(a, b)| {
            let (low, high) = (a.min(b), a.max(b));
            (format!("{low}-{high}"), (low..=high).collect(), false)
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// From a few days before a change of clocks, in zones with all kinds of changes.
    #[test]
    fn agrees_with_a_scan_of_every_minute(
        minute in field(0, 59),
        hour in field(0, 23),
        day in field(1, 31),
        month in field(1, 12),
        weekday in field(0, 6),
        zone in prop::sample::select(vec![
            "UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca",
            "Asia/Kathmandu", "America/Havana", "America/St_Johns", "Pacific/Apia",
        ]),
        start in prop::sample::select(vec![
            "2026-10-23T00:00:00Z", "2026-03-06T00:00:00Z", "2027-03-26T07:11:13Z",
            "2010-11-05T00:00:00Z", "2011-12-28T00:00:00Z", "2026-12-30T22:59:59Z",
        ]),
        offset in 0i64..300_000,
    ) {
        let parts = [minute, hour, day, month, weekday];
        let text: Vec<&str> = parts.iter().map(|(text, ..)| text.as_str()).collect();
        let stars = [parts[2].2, parts[4].2];
        let after = time(start).plus_seconds(offset);
        let found = Schedule::parse(&text.join(" "), zone).unwrap().next_after(after);
        let zone = time_zone(zone).unwrap();
        let want = brute_force(&parts.map(|(_, values, _)| values), stars, &zone, after);
        match want {
            Some(want) => prop_assert_eq!(found, Some(want)),
            // Beyond the scanned 70 days.
            None => prop_assert!(found.is_none_or(|t| t.seconds_since(after) >= 70 * 86_400 - 60)),
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in ".*") {
        let _ = Schedule::parse(&text, "UTC");
    }

    #[test]
    fn no_near_miss_makes_parser_or_search_panic(
        text in "(TZ=UTC )?@?([0-9*?/,-]{1,6} ){4,5}[a-z0-9*]{1,4}",
        at in Time::MIN.unix()..=Time::MAX.unix(),
    ) {
        if let Ok(schedule) = Schedule::parse(&text, "Europe/Berlin") {
            let _ = schedule.next_after(Time::clamped(at));
        }
    }
}
