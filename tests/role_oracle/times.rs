//! Instants as nanoseconds since the Unix epoch, and RFC 3339 as Go reads it.

pub(crate) const SECOND: i128 = 1_000_000_000;

/// `2006-01-02T15:04:05Z`, with a fraction or an offset.
pub(crate) fn parse(text: &str) -> Option<i128> {
    let form = "dddd-dd-ddTdd:dd:dd";
    let front = text.get(..form.len())?;
    let fits = |(mark, found): (char, char)| {
        if mark == 'd' { found.is_ascii_digit() } else { mark == found }
    };
    if !form.chars().zip(front.chars()).all(fits) {
        return None;
    }
    let number = |from: usize, to: usize| front[from..to].parse::<i64>().unwrap();
    let (year, month, day) = (number(0, 4), number(5, 7), number(8, 10));
    let (hour, minute, second) = (number(11, 13), number(14, 16), number(17, 19));
    if !(1..=12).contains(&month) || day < 1 || day > days_in(year, month) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (fraction, zone) = fraction(&text[form.len()..])?;
    let seconds = days_before(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    Some(i128::from(seconds - offset(zone)?) * SECOND + fraction)
}

fn fraction(text: &str) -> Option<(i128, &str)> {
    let Some(digits) = text.strip_prefix('.') else { return Some((0, text)) };
    let end = digits.find(|c: char| !c.is_ascii_digit())?;
    if end == 0 {
        return None;
    }
    let nine: String = digits[..end].chars().chain("000000000".chars()).take(9).collect();
    Some((nine.parse().ok()?, &digits[end..]))
}

/// Seconds east of UTC.
fn offset(zone: &str) -> Option<i64> {
    if zone == "Z" {
        return Some(0);
    }
    let sign = match zone.get(..1)? {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    let (hours, minutes) = zone[1..].split_once(':')?;
    let pair = |text: &str| {
        (text.len() == 2 && text.chars().all(|c| c.is_ascii_digit()))
            .then(|| text.parse::<i64>().unwrap())
    };
    let (hours, minutes) = (pair(hours)?, pair(minutes)?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01, counted one year and one month at a time.
fn days_before(year: i64, month: i64, day: i64) -> i64 {
    let length = |year| if is_leap(year) { 366 } else { 365 };
    let years: i64 = if year >= 1970 {
        (1970..year).map(length).sum()
    } else {
        -(year..1970).map(length).sum::<i64>()
    };
    years + (1..month).map(|month| days_in(year, month)).sum::<i64>() + day - 1
}
