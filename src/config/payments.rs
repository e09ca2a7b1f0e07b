//! `[payments]`: what holds for payments and payouts by whichever provider.
#![expect(clippy::trivially_copy_pass_by_ref, reason = "garde gives its context by reference")]

use garde::Validate;
use serde::{Deserialize, Serialize};

use super::rules::require;

/// `[payments]`
#[derive(Clone, Debug, Serialize, Deserialize, Validate)]
#[garde(allow_unvalidated)]
pub struct PaymentsConfig {
    /// Coins that are worth a currency one to one, as `COIN=CURRENCY`.
    #[garde(inner(custom(peg)))]
    pub pegged: Vec<String>,
    /// The chains that such a coin may be on, as the provider writes them before the coin.
    #[garde(inner(custom(network)))]
    pub networks: Vec<String>,
}

impl PaymentsConfig {
    /// The coins, each with its currency.
    pub fn pegs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pegged.iter().filter_map(|peg| peg.split_once('='))
    }
}

fn code(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit();
    (2..=16).contains(&text.len()) && text.bytes().all(allowed)
}

fn network(network: &str, (): &()) -> garde::Result {
    require(code(network), "is not a chain, such as ETH")
}

fn peg(peg: &str, (): &()) -> garde::Result {
    let pair = peg.split_once('=').is_some_and(|(coin, currency)| code(coin) && code(currency));
    require(pair, "is not a coin and its currency, such as USDT=USD")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peg_is_a_coin_and_a_currency() {
        assert!(peg("USDT=USD", &()).is_ok());
        for bad in ["", "USDT", "USDT=", "=USD", "usdt=USD", "USDT=USD=EUR", "ETH-USDT=USD"] {
            assert!(peg(bad, &()).is_err(), "{bad}");
        }
    }
}
