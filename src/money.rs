//! Money: exact decimal amounts and the currencies they are of
//! (docs/contract/events.md#times-ids-money). No amount passes through a binary float on its way
//! in, through the store, or out.

use std::{fmt, str::FromStr};

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::value::RawValue;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Object, OneOf, RefOr,
        schema::{Schema, Type},
    },
};

/// Digits after the point, at most: as many as the finest unit of the usual chains has.
const MAX_SCALE: u32 = 18;

/// Characters of an amount in JSON, at most: needless zeros are let in, but not any number of them.
const MAX_TEXT: usize = 64;

/// The largest amount.
const MAX: Decimal = Decimal::from_parts(0xA4C6_8000, 0x0003_8D7E, 0, false, 0);

/// How much: not negative, exact, at most 10^15 with 18 digits after the point and 28 in all.
///
/// It is read from a JSON number or a decimal string, digit by digit, and written as a JSON number
/// without needless zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(Decimal);

/// Why a text is not an [`Amount`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "an amount is a decimal from 0 to 10^15, with at most 28 digits, 18 of them after the point"
)]
pub struct InvalidAmount;

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(Decimal::ZERO);

    /// 0.00000001
    pub const HUNDRED_MILLIONTH: Self = Self(Decimal::from_parts(1, 0, 0, false, 8));

    fn new(decimal: Decimal) -> Result<Self, InvalidAmount> {
        let decimal = decimal.normalize();
        if decimal.is_sign_negative() || decimal > MAX || decimal.scale() > MAX_SCALE {
            return Err(InvalidAmount);
        }
        Ok(Self(decimal))
    }

    /// What is left of it without `other`; none when that is more.
    #[must_use]
    pub fn minus(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).and_then(|rest| Self::new(rest).ok())
    }

    /// The sum; at most the largest amount.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let sum = self.0.checked_add(other.0);
        sum.and_then(|sum| Self::new(sum).ok()).unwrap_or(Self(MAX))
    }

    /// What is left of it without so many hundredths of a percent.
    #[must_use]
    pub fn less_basis_points(self, basis_points: u32) -> Self {
        let part = Decimal::new(10_000 - i64::from(basis_points.min(10_000)), 4);
        let left = self.0.checked_mul(part).map(|left| left.round_dp(MAX_SCALE));
        left.and_then(|left| Self::new(left).ok()).unwrap_or(self)
    }

    /// As much of it as `part` is of `whole`, rounded down; all of it where that is more.
    #[must_use]
    pub fn prorated(self, part: Self, whole: Self) -> Self {
        if part >= whole {
            return self;
        }
        self.scaled(part, whole).unwrap_or(Self::ZERO)
    }

    /// As many times of it as `part` is of `whole`, rounded down; none where that is no amount.
    #[must_use]
    pub fn scaled(self, part: Self, whole: Self) -> Option<Self> {
        let scaled = self.0.checked_mul(part.0)?.checked_div(whole.0)?;
        Self::new(scaled.trunc_with_scale(MAX_SCALE)).ok()
    }

    /// As people read it: with two digits after the point at least.
    #[must_use]
    pub fn in_words(self) -> String {
        let digits = usize::try_from(self.0.scale()).unwrap_or_default().max(2);
        format!("{:.digits$}", self.0)
    }

    /// The number of a JSON text, which may have an exponent.
    fn from_json(json: &RawValue) -> Result<Self, InvalidAmount> {
        let text = json.get();
        if text.len() > MAX_TEXT {
            return Err(InvalidAmount);
        }
        if text.starts_with('"') {
            return serde_json::from_str::<String>(text).map_err(|_| InvalidAmount)?.parse();
        }
        if text.contains(['e', 'E']) {
            return Decimal::from_scientific(text).map_err(|_| InvalidAmount).and_then(Self::new);
        }
        text.parse()
    }
}

impl FromStr for Amount {
    type Err = InvalidAmount;

    fn from_str(text: &str) -> Result<Self, InvalidAmount> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(fraction) {
            return Err(InvalidAmount);
        }
        Decimal::from_str_exact(text).map_err(|_| InvalidAmount).and_then(Self::new)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // As raw JSON: serde's own numbers are floats.
        let number = RawValue::from_string(self.to_string()).map_err(serde::ser::Error::custom)?;
        number.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Box::<RawValue>::deserialize(deserializer)?;
        Self::from_json(&json).map_err(D::Error::custom)
    }
}

impl PartialSchema for Amount {
    fn schema() -> RefOr<Schema> {
        let text = Object::builder()
            .schema_type(Type::String)
            .max_length(Some(MAX_TEXT - 2))
            .pattern(Some(r"^\d+(\.\d+)?$"));
        let exact = text.description(Some("The same as text, for who has no exact numbers."));
        OneOf::builder()
            .item(Object::builder().schema_type(Type::Number))
            .item(exact)
            .description(Some("An exact decimal, 0 to 10^15, at most 18 digits after the point."))
            .into()
    }
}

impl ToSchema for Amount {}

/// Of what, as a code: `USD`, `USDT`, `ETH-USDT`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Currency(Box<str>);

/// Why a text is not a [`Currency`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a currency is a code of 2–16 characters from [A-Z0-9-], such as USD or ETH-USDT")]
pub struct InvalidCurrency;

impl Currency {
    /// The code as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Currency {
    type Error = InvalidCurrency;

    fn try_from(text: String) -> Result<Self, InvalidCurrency> {
        let allowed = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'-';
        if (2..=16).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidCurrency)
        }
    }
}

impl FromStr for Currency {
    type Err = InvalidCurrency;

    fn from_str(text: &str) -> Result<Self, InvalidCurrency> {
        text.to_owned().try_into()
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl PartialSchema for Currency {
    fn schema() -> RefOr<Schema> {
        Object::builder().schema_type(Type::String).pattern(Some("^[A-Z0-9-]{2,16}$")).into()
    }
}

impl ToSchema for Currency {}

/// An amount of money.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Money {
    /// How much.
    #[schema(value_type = f64)]
    pub amount: Amount,
    /// Of what, as a code: `USD`, `USDT`.
    #[schema(value_type = String)]
    pub currency: Currency,
}

impl Money {
    /// Whether it is enough for a price.
    #[must_use]
    pub fn covers(&self, price: &Self) -> bool {
        self.currency == price.currency && self.amount >= price.amount
    }
}

/// Refuses nothing at all as a price (for garde).
///
/// # Errors
/// When the amount is zero.
pub fn positive(amount: &Amount, (): &()) -> garde::Result {
    if *amount == Amount::ZERO { Err(garde::Error::new("must be more than 0")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Amount, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn an_amount_keeps_every_digit() {
        for (json, written) in [
            ("0.1", "0.1"),
            ("\"0.1\"", "0.1"),
            ("10.50", "10.5"),
            ("100", "100"),
            ("\"007.10\"", "7.1"),
            ("1.5e2", "150"),
            ("1e-8", "0.00000001"),
            ("900719925474099.3", "900719925474099.3"),
            ("\"123456789.123456789012345678\"", "123456789.123456789012345678"),
            ("1000000000000000", "1000000000000000"),
        ] {
            let amount = read(json).unwrap_or_else(|error| panic!("{json}: {error}"));
            assert_eq!(serde_json::to_string(&amount).unwrap(), written);
            assert_eq!(amount.to_string().parse(), Ok(amount));
        }
    }

    #[test]
    fn people_read_two_digits_after_the_point_at_least() {
        for (amount, read) in [
            ("35.5", "35.50"),
            ("100", "100.00"),
            ("0.00000001", "0.00000001"),
            ("1.125", "1.125"),
            ("0", "0.00"),
        ] {
            assert_eq!(amount.parse::<Amount>().unwrap().in_words(), read);
        }
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for json in [
            "-1",
            "\"-1\"",
            "\"+1\"",
            "\"1_000\"",
            "\"1,5\"",
            "\"\"",
            "\".5\"",
            "\"5.\"",
            "\"1e2\"",
            "\"NaN\"",
            "true",
            "null",
            "[1]",
            "{}",
            "1000000000000000.1",
            "1e16",
            "1e-19",
            "0.1234567890123456789",
            "\"99999999999.123456789012345678\"",
        ] {
            let error = read(json).expect_err(json).to_string();
            assert!(error.starts_with("an amount is a decimal"), "{json}: {error}");
        }
    }

    #[test]
    fn a_rest_is_exact_and_never_below_zero() {
        let [a, b, sum]: [Amount; 3] = ["0.1", "0.2", "0.3"].map(|text| text.parse().unwrap());
        assert_eq!(sum.minus(b), Some(a));
        assert_eq!(a.minus(b), None);
    }

    #[test]
    fn a_sum_is_exact_and_never_above_the_largest_amount() {
        let [a, b, sum]: [Amount; 3] = ["0.1", "0.2", "0.3"].map(|text| text.parse().unwrap());
        assert_eq!(a.plus(b), sum);
        let largest: Amount = "1000000000000000".parse().unwrap();
        assert_eq!(largest.plus(a), largest);
    }

    #[test]
    fn hundredths_of_a_percent_are_taken_off() {
        let amount = |text: &str| text.parse::<Amount>().unwrap();
        assert_eq!(amount("9").less_basis_points(1), amount("8.9991"));
        assert_eq!(amount("35.5").less_basis_points(500), amount("33.725"));
        assert_eq!(amount("9").less_basis_points(0), amount("9"));
        assert_eq!(
            amount("123456789.123456789012345678").less_basis_points(0),
            amount("123456789.123456789012345678")
        );
    }

    #[test]
    fn a_share_is_never_more_than_its_part() {
        let amount = |text: &str| text.parse::<Amount>().unwrap();
        assert_eq!(amount("2").prorated(amount("1"), amount("4")), amount("0.5"));
        assert_eq!(amount("1").prorated(amount("2"), amount("3")), amount("0.666666666666666666"));
        assert_eq!(amount("2").prorated(amount("5"), amount("4")), amount("2"));
        assert_eq!(amount("2").prorated(Amount::ZERO, Amount::ZERO), amount("2"));
    }

    #[test]
    fn a_currency_is_a_code() {
        for good in ["USD", "ETH-USDT", "BTC", "1INCH"] {
            assert_eq!(good.parse::<Currency>().unwrap().as_str(), good);
        }
        for bad in ["", "U", "usd", "US D", "€€", "ABCDEFGHIJKLMNOPQ"] {
            assert_eq!(bad.parse::<Currency>(), Err(InvalidCurrency), "{bad:?}");
        }
    }
}
