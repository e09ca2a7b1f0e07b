//! Public keys that verify tokens: from a PEM or a JWK, each for one algorithm only, so that a
//! token can't choose how its signature is checked.
