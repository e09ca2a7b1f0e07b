//! The one source of time, so that tests can set it and nothing else asks the operating system.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use humantime_serde::re::humantime::parse_rfc3339;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        KnownFormat, Object, RefOr, SchemaFormat,
        schema::{Schema, Type},
    },
};

/// The first and the last moment that a year of four digits names.
const WRITABLE: (i64, i64) = (-62_167_219_200_000, 253_402_300_799_999);

/// The longest text of a moment: with nanoseconds.
const MAX_LENGTH: usize = 30;

/// A moment in UTC, in milliseconds since 1970. On the wire an ISO 8601 string with milliseconds and a
/// year of four digits; what lies beyond is told as the last moment of 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970, as JWT claims count them (RFC 7519, `NumericDate`).
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// The time from `self` until `later`; zero when `later` is in the past.
    #[must_use]
    pub fn until(self, later: Self) -> Duration {
        Duration::from_millis(later.0.saturating_sub(self.0).try_into().unwrap_or(0))
    }
}

impl std::ops::Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let writable = self.0.clamp(WRITABLE.0, WRITABLE.1);
        let (days, millis) = (writable.div_euclid(86_400_000), writable.rem_euclid(86_400_000));
        let (year, month, day) = civil(days);
        let (seconds, millis) = (millis / 1000, millis % 1000);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A moment of any year as milliseconds, for what servers tell each other.
pub mod millis {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::clock::Timestamp;

    /// As milliseconds since 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_i64(at.0)
    }

    /// From milliseconds since 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    /// Where it is no whole number.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        i64::deserialize(from).map(Timestamp)
    }
}

/// From a moment in UTC since 1970 as RFC 3339 writes it, `2025-11-24T16:00:00.000Z`.
impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let short = Some(&text).filter(|text| text.len() <= MAX_LENGTH);
        let since = short.and_then(|text| parse_rfc3339(text).ok());
        let since = since.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        let millis = since.and_then(|since| i64::try_from(since.as_millis()).ok());
        let rule = "is not a moment in UTC since 1970, such as 2025-11-24T16:00:00.000Z";
        millis.map(Self).ok_or_else(|| D::Error::custom(rule))
    }
}

impl PartialSchema for Timestamp {
    fn schema() -> RefOr<Schema> {
        Object::builder()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .max_length(Some(MAX_LENGTH))
            .description(Some("A moment in UTC, ISO 8601 with milliseconds."))
            .examples(["2025-11-24T16:00:00.000Z"])
            .into()
    }
}

impl ToSchema for Timestamp {}

/// The date of a day counted from 1970 (Howard Hinnant's `civil_from_days`).
const fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, doy - (153 * mp + 2) / 5 + 1)
}

/// Tells the time: the system's, or one that a test sets.
#[derive(Clone, Debug, Default)]
pub struct Clock(Option<Arc<AtomicI64>>);

impl Clock {
    /// The system's clock.
    #[must_use]
    pub const fn system() -> Self {
        Self(None)
    }

    /// A clock that stands at `start` until [`Clock::advance`] moves it. For tests.
    #[must_use]
    pub fn manual(start: Timestamp) -> Self {
        Self(Some(Arc::new(AtomicI64::new(start.0))))
    }

    /// The current time.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn now(&self) -> Timestamp {
        if let Some(manual) = &self.0 {
            return Timestamp(manual.load(Ordering::Relaxed));
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Timestamp(since.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX)))
    }

    /// Moves a manual clock on; the system's clock stays as it is.
    pub fn advance(&self, by: Duration) {
        if let Some(manual) = &self.0 {
            manual.fetch_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_prints_as_iso_8601_with_milliseconds() {
        assert_eq!(Timestamp(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Timestamp(951_827_696_007).to_string(), "2000-02-29T12:34:56.007Z");
        assert_eq!(Timestamp(1_764_000_000_000).to_string(), "2025-11-24T16:00:00.000Z");
        assert_eq!(Timestamp(-1).to_string(), "1969-12-31T23:59:59.999Z");
        for far in [253_402_300_799_999, 253_402_300_800_000, i64::MAX] {
            assert_eq!(Timestamp(far).to_string(), "9999-12-31T23:59:59.999Z");
        }
        assert_eq!(Timestamp(i64::MIN).to_string(), "0000-01-01T00:00:00.000Z");
    }

    #[test]
    fn a_timestamp_reads_back_and_has_no_other_form() {
        let read = |text: &str| serde_json::from_value::<Timestamp>(text.into());
        for at in [Timestamp(0), Timestamp(951_827_696_007), Timestamp(253_402_300_799_999)] {
            assert_eq!(read(&at.to_string()).unwrap(), at);
        }
        assert_eq!(read("2000-02-29T12:34:56Z").unwrap(), Timestamp(951_827_696_000));
        for bad in ["", "tomorrow", "2025-11-24", "2025-02-30T00:00:00Z", "1969-12-31T23:59:59Z"] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert!(serde_json::from_str::<Timestamp>("1764000000").is_err());
    }
}
