//! Where the app has its own login nobody registers, by accident or otherwise.

use reqwest::Method;
use serde_json::json;
use stoa::config::AccountsMode;

use super::{credentials, details, post};
use crate::support::{TestApp, app::API_KEY, raw};

#[tokio::test]
async fn beside_a_secret_that_somebody_gave_nobody_registers_unless_it_is_said() {
    for mode in [AccountsMode::Auto, AccountsMode::Off] {
        let app = TestApp::with(|config| config.accounts.mode = mode).await;
        for (path, body) in [
            ("/api/auth/register", details("ada@example.org")),
            ("/api/auth/login", credentials("ada@example.org", super::PASSWORD)),
            ("/api/auth/refresh", json!({ "refreshToken": "x" })),
            ("/api/auth/password", json!({ "resetToken": "x", "newPassword": super::PASSWORD })),
            ("/api/auth/password-resets", json!({ "email": "ada@example.org" })),
        ] {
            for body in [body, json!(null)] {
                let stranger = post(&app, path, &body).await;
                assert_eq!(stranger.problem(404), "accounts_off", "{path}");
                assert!(stranger.body["detail"].as_str().unwrap().contains("ACCOUNTS"));
                let service = app.post(path, body.clone()).await;
                assert_eq!(service.problem(404), "accounts_off", "{path}");
                let user = app.person("ann").post(path, body).await;
                assert_eq!(user.problem(404), "accounts_off", "{path}");
            }
            // Nor is anything read first.
            let head = format!(
                "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                 Content-Length: 1000\r\n\r\n"
            );
            assert_eq!(raw::status(app.address(), &head).await, 404, "{path}");
        }
        // The app's own tokens are known all the same, and end.
        let ann = app.person_with("ann", json!({ "jti": "one" }));
        let me = ann.get("/api/auth/me").await.ok();
        assert_eq!(me["user"]["id"], "ann");
        let out = ann.post_nothing("/api/auth/logout").await;
        assert_eq!(out.status, 204);
        assert_eq!(app.request(Method::GET, "/api/auth/me", Some(API_KEY), None).await.status, 200);
    }
}
