//! What a token's roles let someone do, in rooms and over REST alike.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use crate::support::{Options, TestApp, market::a_lamp};

/// Whether a token with these claims buys and sells: in each room and at each route where that
/// counts.
async fn trades(app: &TestApp, claims: &Value) -> (bool, bool) {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    // Somebody new: whoever made an offer sees more.
    let user = format!("user{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let person = app.person_with(&user, claims.clone());
    let mut ways = Vec::new();
    for namespace in ["/", "/marketplace"] {
        let mut tab = person.connect_by(Options::websocket().namespace(namespace)).await;
        let buys = tab.may_join("join-buyer-room", &user).await;
        ways.push((buys, tab.may_join("join-seller-room", &user).await));
        tab.close().await;
    }
    let open = app.buyer("bea").request().await;
    let ask = async |path: &str, body: Value| {
        let answer = person.post(path, body).await;
        assert!([201, 403, 404].contains(&answer.status.as_u16()), "{claims}: {answer:?}");
        answer.status == 201
    };
    let price = json!({ "amount": 5, "currency": "USD" });
    let buys = ask("/api/marketplace/requests", a_lamp()).await;
    let sells = ask(&format!("/api/marketplace/requests/{open}/offers"), price).await;
    ways.push((buys, sells));
    assert!(ways.iter().all(|way| *way == ways[0]), "{claims}: {ways:?}");
    let path = "/api/marketplace/requests?status=open&limit=1";
    let listed = person.get(path).await.ok();
    let sees = listed["items"].as_array().is_some_and(|items| !items.is_empty());
    assert_eq!(sees, buys || sells, "{claims}: {listed}");
    ways[0]
}

#[tokio::test]
async fn a_role_that_is_not_known_gives_no_rights() {
    let app = TestApp::start().await;
    for role in [
        json!("customer"),
        json!("banned"),
        json!("guest"),
        json!("ROLE_"),
        json!("sellers"),
        json!("role_role_seller"),
        json!(""),
        json!(" "),
        json!("ſeller"),
        json!(0),
        json!(4),
        json!(false),
        json!({}),
        json!({ "name": "seller" }),
        json!([""]),
        json!([null]),
        json!([["seller"]]),
        json!(["banned", { "seller": true }]),
    ] {
        for name in ["role", "roles"] {
            let claims = json!({ name: role });
            assert_eq!(trades(&app, &claims).await, (false, false), "{claims}");
        }
        let claims = json!({ "role": "seller", "roles": role });
        assert_eq!(trades(&app, &claims).await, (false, true), "{claims}");
    }
}

#[tokio::test]
async fn who_has_no_role_at_all_buys_and_sells() {
    let app = TestApp::start().await;
    for claims in [
        json!({}),
        json!({ "role": null }),
        json!({ "roles": null }),
        json!({ "roles": [] }),
        json!({ "role": null, "roles": [] }),
    ] {
        assert_eq!(trades(&app, &claims).await, (true, true), "{claims}");
    }
}

#[tokio::test]
async fn neither_case_nor_role_in_front_matters() {
    let app = TestApp::start().await;
    for (claims, expected) in [
        (json!({ "role": "Seller" }), (false, true)),
        (json!({ "roles": ["ROLE_BUYER"] }), (true, false)),
        (json!({ "roles": "role_Seller" }), (false, true)),
        (json!({ "role": "BUYER", "roles": ["Role_Seller", "owner"] }), (true, true)),
        (json!({ "role": ["seller"] }), (false, true)),
        (json!({ "role": "USER" }), (false, false)),
        (json!({ "role": null, "roles": ["seller"] }), (false, true)),
    ] {
        assert_eq!(trades(&app, &claims).await, expected, "{claims}");
    }
    let root = app.person_with("root", json!({ "role": "ROLE_ADMIN" }));
    assert_eq!(root.get("/api/rooms").await.status, 200);
}

#[tokio::test]
async fn an_apps_own_words_are_roles_where_the_configuration_says_so() {
    let app = TestApp::with(|config| {
        let names = [("vendor", "seller"), ("ROLE_Member", "buyer+seller"), ("user", "buyer")];
        let names = names.map(|(name, roles)| (name.to_owned(), roles.to_owned()));
        config.auth.role_names = names.into_iter().collect();
    })
    .await;
    for (claims, expected) in [
        (json!({ "role": "vendor" }), (false, true)),
        (json!({ "roles": ["ROLE_VENDOR"] }), (false, true)),
        (json!({ "roles": "member" }), (true, true)),
        (json!({ "role": "User" }), (true, false)),
        (json!({ "role": "seller" }), (false, true)),
        (json!({ "role": "vendors" }), (false, false)),
    ] {
        assert_eq!(trades(&app, &claims).await, expected, "{claims}");
    }
}
