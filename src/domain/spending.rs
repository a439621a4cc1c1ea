//! What asking a language model costs, and how much it may.

use serde::{Deserialize, Serialize};

/// What a run has cost so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spending {
    /// Requests answered by the model.
    pub requests: u64,
    /// Attempts beyond the first of each.
    pub retries: u64,
    /// Requests answered from kept replies.
    pub cached: u64,
    /// Tokens read.
    pub prompt_tokens: u64,
    /// Tokens read whose reading was reused.
    pub cached_tokens: u64,
    /// Tokens written.
    pub completion_tokens: u64,
    /// Some of the counts are estimates.
    pub estimated: bool,
    /// Millionths of the currency; 0 where no price is known.
    pub micros: u64,
    /// Time at work.
    pub milliseconds: u64,
}

impl Spending {
    /// Tokens read and written.
    pub(crate) fn tokens(&self) -> u64 {
        self.prompt_tokens + self.completion_tokens
    }
}

/// What a million tokens cost; 0 where it is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Prices {
    /// Read.
    pub input: f64,
    /// Written.
    pub output: f64,
}

impl Prices {
    /// Whether there is a price at all.
    pub(crate) fn known(&self) -> bool {
        self.input > 0.0 || self.output > 0.0
    }

    /// Millionths of the currency: a price for a million tokens is one in millionths for each.
    pub(crate) fn micros(&self, read: u64, written: u64) -> u64 {
        (read as f64 * self.input + written as f64 * self.output).ceil() as u64
    }
}

/// How much a run may cost; what is `None` has no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Budget {
    /// Tokens read and written.
    pub tokens: Option<u64>,
    /// Currency.
    pub money: Option<f64>,
    /// Seconds at work.
    pub seconds: Option<u64>,
}

impl Budget {
    /// What stands against spending `read` and `written` tokens more, beyond what is spent; `None` when nothing does.
    pub(crate) fn forbids(&self, spent: &Spending, prices: &Prices, read: u64, written: u64) -> Option<String> {
        if let Some(most) = self.tokens.filter(|most| spent.tokens() + read + written > *most) {
            return Some(format!("the budget of {most} tokens is spent ({} used)", spent.tokens()));
        }
        let micros = spent.micros + prices.micros(read, written);
        if let Some(most) = self.money.filter(|most| micros as f64 > most * 1e6) {
            return Some(format!("the budget of {most} is spent ({:.2} used)", spent.micros as f64 / 1e6));
        }
        let most = self.seconds.filter(|most| spent.milliseconds >= most * 1000)?;
        Some(format!("the budget of {most} seconds is spent"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_holds_before_it_is_passed() {
        let prices = Prices { input: 2.0, output: 10.0 };
        let spent = Spending { prompt_tokens: 900, completion_tokens: 50, micros: 2300, ..Spending::default() };
        let tokens = |n| Budget { tokens: Some(n), ..Budget::default() };
        assert_eq!(tokens(1000).forbids(&spent, &prices, 40, 10), None);
        assert!(tokens(1000).forbids(&spent, &prices, 41, 10).unwrap().contains("950 used"));
        let money = |m| Budget { money: Some(m), ..Budget::default() };
        assert_eq!(money(0.0025).forbids(&spent, &prices, 50, 10), None);
        assert!(money(0.0025).forbids(&spent, &prices, 51, 10).is_some());
        assert!(Budget::default().forbids(&spent, &prices, u64::MAX / 4, 0).is_none());
    }
}
