//! Tokens that a backend has made for its users.

use std::time::Duration;

use super::Users;
use crate::{
    auth::{CredentialKind, MAX_TOKEN_BYTES, NewToken, Role, ServiceCaller},
    error::{Code, Error, Result},
    users::{documents::MintedToken, requests::MintToken},
};

impl Users {
    /// Signs a token. Those of admins and services are made for API keys alone, which the operator has
    /// written down: whoever has found a service's token can't make it last by making others.
    pub(in crate::users) fn mint(
        &self,
        caller: &ServiceCaller,
        asked: MintToken,
    ) -> Result<MintedToken> {
        let Some(minter) = &self.minter else {
            let sentence = "This server has no secret to sign tokens with (JWT_SECRET).";
            return Err(Error::new(Code::Unavailable, sentence).with_reason("no_signing_key"));
        };
        let powerful = asked.roles.iter().find(|role| matches!(role, Role::Admin | Role::Service));
        if let Some(role) = powerful
            && caller.kind != CredentialKind::ApiKey
        {
            let sentence = format!("A token with the role {} takes an API key.", role.as_str());
            return Err(Error::new(Code::Forbidden, sentence));
        }
        let longest = self.config.longest_token_life;
        let ttl = asked.ttl_seconds.map(|seconds| Duration::from_secs(seconds.into()));
        let ttl = ttl.unwrap_or(self.config.token_life);
        if ttl > longest {
            let rule = format!("is at most {}", longest.as_secs());
            return Err(Error::invalid("/ttlSeconds", rule));
        }
        if self.revocations.is_blocked(&asked.user_id) {
            return Err(Error::new(Code::Conflict, "This user is blocked."));
        }
        let now = self.clock.now();
        let token = NewToken {
            email: asked.email,
            first_name: asked.first_name.map(Into::into),
            last_name: asked.last_name.map(Into::into),
            name: asked.name.map(Into::into),
            rooms: asked.rooms,
            ..NewToken::new(asked.user_id, asked.roles.into_iter().collect(), ttl)
        };
        let token_text = minter.mint(&token, now)?;
        if token_text.len() > MAX_TOKEN_BYTES {
            return Err(Error::invalid(
                "/rooms",
                "makes a token of more than 16 KiB, which nobody takes",
            ));
        }
        tracing::info!(by = %caller.identity.user_id, user = %token.user_id, "a token was made");
        Ok(MintedToken { token: token_text, expires_at: token.expires_at(now) })
    }
}
