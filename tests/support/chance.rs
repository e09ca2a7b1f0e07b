//! Chance that can be had again: a test prints the seed of its chance, which a failure shows, and
//! takes it from `STOA_TEST_SEED`.

use rand::{SeedableRng, rngs::StdRng};

/// The numbers of one test.
pub fn chance() -> StdRng {
    let seed = std::env::var("STOA_TEST_SEED")
        .map_or_else(|_| rand::random(), |seed| seed.parse().expect("STOA_TEST_SEED is a number"));
    println!("STOA_TEST_SEED={seed}");
    StdRng::seed_from_u64(seed)
}
