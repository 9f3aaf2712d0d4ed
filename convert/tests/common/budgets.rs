//! What firmware costs, held against the `budgets.json` of its board.
//!
//! A budget is what was measured. `MOTE_BUDGETS=write` puts what is measured now in its place, for
//! a change that is worth it; without that, more than the tolerance fails.

use std::collections::BTreeMap;
use std::path::Path;
use std::{env, fmt, fs};

use serde::{Serialize, de::DeserializeOwned};

/// What something costs on a board.
pub trait Budget: Copy + fmt::Debug + DeserializeOwned + Serialize {
    /// Name, amount, and how many thousandths of it more are tolerated.
    fn amounts(&self) -> Vec<(&'static str, u64, u64)>;
}

/// The first thing of which `found` takes too much.
pub fn exceeded<B: Budget>(budget: &B, found: &B) -> Option<&'static str> {
    let pairs = budget.amounts().into_iter().zip(found.amounts());
    pairs
        .filter(|((_, budget, tolerated), (_, found, _))| {
            *found > budget + budget * tolerated / 1000
        })
        .map(|((what, ..), _)| what)
        .next()
}

/// Holds `found` against the budget of `what` on `board`.
pub fn hold<B: Budget>(board: &str, what: &str, found: &B) {
    let firmware = Path::new(env!("CARGO_MANIFEST_DIR")).join("../firmware-examples");
    let path = firmware.join(board).join("budgets.json");
    let text = fs::read_to_string(&path).unwrap_or_else(|_| "{}".to_owned());
    let mut all: BTreeMap<String, B> = serde_json::from_str(&text).expect("budgets");
    if env::var_os("MOTE_BUDGETS").is_some_and(|value| value == "write") {
        all.insert(what.to_owned(), *found);
        let text = serde_json::to_string_pretty(&all).expect("numbers") + "\n";
        fs::write(&path, text).expect("the folder of the board");
        return;
    }
    let budget = all.get(what).unwrap_or_else(|| {
        panic!("{what} has no budget in {}; MOTE_BUDGETS=write makes one", path.display())
    });
    if let Some(more) = exceeded(budget, found) {
        panic!("{what} on {board}: more {more} than budgeted: {found:?}, {budget:?}");
    }
}
