//! What is done at the same moment: one thing is done, and told, once.

use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::{PRICE, Sale, accepted, rejected, text};
use crate::support::{Person, TestApp, app::Answer, within};

const ROUNDS: usize = 20;

/// The answers of all, in the order in which they were asked.
async fn answers<const N: usize>(asked: [JoinHandle<Answer>; N]) -> [(u16, Value); N] {
    let all = within("the answers", futures_util::future::join_all(asked)).await;
    let all = all.into_iter().map(|answer| answer.expect("a task that ends"));
    let all: Vec<_> = all.map(|answer| (answer.status.as_u16(), answer.body)).collect();
    all.try_into().expect("as many")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_offers_accepted_at_once_one_is_and_the_other_loses() {
    let app = TestApp::start().await;
    let bea = app.buyer("bea");
    let sellers = ["sam", "sue"].map(|id| app.seller(id));
    let mut users = [sellers[0].connect_as_seller().await, sellers[1].connect_as_seller().await];
    for round in 0..ROUNDS {
        let request = bea.request().await;
        let offers =
            [sellers[0].offer(&request, PRICE).await, sellers[1].offer(&request, PRICE).await];
        let mut order = [0, 1];
        order.rotate_left(round % 2);
        let accept = |at: usize| {
            bea.spawn(Method::POST, &format!("/api/marketplace/offers/{}/accept", offers[at]), None)
        };
        let [first, second] = answers(order.map(accept)).await;
        let mut statuses = [first.0, second.0];
        let won = order[usize::from(second.0 == 200)];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409], "{first:?} {second:?}");
        let kept = bea.get(&format!("/api/marketplace/requests/{request}")).await.ok();
        assert_eq!(kept["acceptedOfferId"], json!(offers[won]));
        for at in [0, 1] {
            let seller = sellers[at].id.as_str();
            let told = if at == won {
                accepted(seller, &request, &offers[at])
            } else {
                let reason = Some("The buyer accepted another offer.");
                rejected(seller, &request, &offers[at], reason)
            };
            users[at].expect("new-purchase-request").await;
            assert_eq!(users[at].expect("seller-offer-update").await, told);
        }
    }
    for user in &mut users {
        user.expect_nothing().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_offer_accepted_while_it_is_withdrawn_is_one_of_both() {
    let app = TestApp::start().await;
    let (bea, sam) = (app.buyer("bea"), app.seller("sam"));
    for round in 0..ROUNDS {
        let request = bea.request().await;
        let offer = sam.offer(&request, PRICE).await;
        let path = format!("/api/marketplace/offers/{offer}");
        let accept = || bea.spawn(Method::POST, &format!("{path}/accept"), None);
        let withdraw = || sam.spawn(Method::DELETE, &path, None);
        let [accepted, withdrawn] = if round % 2 == 0 {
            answers([accept(), withdraw()]).await
        } else {
            let [withdrawn, accepted] = answers([withdraw(), accept()]).await;
            [accepted, withdrawn]
        };
        let kept = bea.get(&format!("/api/marketplace/requests/{request}")).await.ok();
        let offers = bea.get(&format!("/api/marketplace/requests/{request}/offers")).await.ok();
        let now = [text(&kept["status"]), text(&offers["items"][0]["status"])];
        match (accepted.0, withdrawn.0) {
            (200, 409) => assert_eq!(now, ["accepted", "accepted"]),
            (409, 204) => assert_eq!(now, ["open", "withdrawn"]),
            _ => panic!("{accepted:?} {withdrawn:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_offer_accepted_while_the_request_is_cancelled_is_cancelled_in_the_end() {
    let app = TestApp::start().await;
    let (bea, sam) = (app.buyer("bea"), app.seller("sam"));
    let mut sams = sam.connect_as_seller().await;
    for round in 0..ROUNDS {
        let request = bea.request().await;
        let offer = sam.offer(&request, PRICE).await;
        let accept =
            || bea.spawn(Method::POST, &format!("/api/marketplace/offers/{offer}/accept"), None);
        let reason = json!({ "reason": "Found one" });
        let cancel = || {
            let path = format!("/api/marketplace/requests/{request}/cancel");
            bea.spawn(Method::POST, &path, Some(reason.clone()))
        };
        let [was_accepted, was_cancelled] = if round % 2 == 0 {
            answers([accept(), cancel()]).await
        } else {
            let [cancelled, accepted] = answers([cancel(), accept()]).await;
            [accepted, cancelled]
        };
        assert_eq!(was_cancelled.0, 200, "{was_cancelled:?}");
        let kept = bea.get(&format!("/api/marketplace/requests/{request}")).await.ok();
        assert_eq!(kept["status"], "cancelled");
        sams.expect("new-purchase-request").await;
        match was_accepted.0 {
            200 => {
                let told = accepted("sam", &request, &offer);
                assert_eq!(sams.expect("seller-offer-update").await, told);
                assert_eq!(kept["acceptedOfferId"], json!(offer));
            }
            409 => assert_eq!(kept["acceptedOfferId"], Value::Null),
            _ => panic!("{was_accepted:?}"),
        }
        assert_eq!(sams.expect("request-cancelled").await["requestId"], json!(request));
    }
    sams.expect_nothing().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_sellers_offer_at_once_and_one_seller_twice_does_not() {
    let app = TestApp::start().await;
    let bea = app.buyer("bea");
    let [sam, sue] = ["sam", "sue"].map(|id| app.seller(id));
    let mut beas = bea.connect_as_buyer().await;
    let price = json!({ "amount": 1, "currency": "USD" });
    for _ in 0..ROUNDS {
        let request = bea.request().await;
        let path = format!("/api/marketplace/requests/{request}/offers");
        let offer = |who: &Person| who.spawn(Method::POST, &path, Some(price.clone()));
        let all = answers([offer(&sam), offer(&sue), offer(&sam), offer(&sue)]).await;
        let mut made: Vec<_> = all
            .iter()
            .filter(|(status, _)| *status == 201)
            .map(|(_, offer)| offer.clone())
            .collect();
        assert!(all.iter().all(|(status, _)| [201, 409].contains(status)), "{all:?}");
        let mut told = Vec::new();
        for _ in 0..2 {
            told.push(beas.expect("new-offer").await["offer"].clone());
        }
        for offers in [&mut made, &mut told] {
            offers.sort_by_key(|offer| text(&offer["sellerId"]));
        }
        assert_eq!(made, told);
        assert_eq!((&made[0]["sellerId"], &made[1]["sellerId"]), (&json!("sam"), &json!("sue")));
    }
    beas.expect_nothing().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_wrong_codes_at_once_are_five_tries() {
    let app = TestApp::start().await;
    let sale = Sale::shipped(&app).await;
    let code = sale.code().await;
    let wrong = if code == "22222222" { "33333333" } else { "22222222" };
    let path = sale.path("/delivery/confirm");
    let body = json!({ "code": wrong });
    let all = [(); 10].map(|()| sale.bea.spawn(Method::POST, &path, Some(body.clone())));
    let all = answers(all).await;
    let mut tried: Vec<_> = all
        .iter()
        .filter(|(status, _)| *status == 422)
        .map(|(_, problem)| text(&problem["errors"][0]["detail"]))
        .collect();
    tried.sort();
    let left = |n: usize| format!("is not the delivery code; {n} tries left");
    assert_eq!(tried, (0..5).map(left).collect::<Vec<_>>());
    let used_up = |(status, problem): &&(u16, Value)| {
        *status == 409 && problem["code"] == "delivery_code_used_up"
    };
    assert_eq!(all.iter().filter(used_up).count(), 5, "{all:?}");
    assert_eq!(sale.confirm(&code).await.problem(409), "delivery_code_used_up");
    let code = sale.code().await;
    assert_eq!(sale.confirm(&code).await.ok()["status"], "delivered");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_right_code_twice_at_once_delivers_once() {
    let app = TestApp::start().await;
    for _ in 0..5 {
        let sale = Sale::shipped(&app).await;
        let code = sale.code().await;
        let mut page = sale.bea.connect_to(&sale.request).await;
        let (path, body) = (sale.path("/delivery/confirm"), json!({ "code": code }));
        let confirm = |()| sale.bea.spawn(Method::POST, &path, Some(body.clone()));
        let mut statuses = answers([(); 2].map(confirm)).await.map(|(status, _)| status);
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409]);
        page.expect("delivery-confirmed").await;
        page.expect("purchase-request-update").await;
        page.expect_nothing().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_enters_while_an_offer_is_accepted_is_not_left_inside() {
    let app = TestApp::start().await;
    let (bea, sam) = (app.buyer("bea"), app.seller("sam"));
    let onlooker = app.seller("sol");
    let mut sockets = Vec::new();
    for _ in 0..8 {
        sockets.push(onlooker.connect().await);
    }
    let mut inside = bea.connect().await;
    for round in 0..ROUNDS {
        let request = bea.request().await;
        let offer = sam.offer(&request, PRICE).await;
        inside.join("join-request-room", &request).await;
        let mut acks = Vec::new();
        let mut accept = None;
        for (at, socket) in sockets.iter_mut().enumerate() {
            // Another moment in each round.
            if at == round % 8 {
                let path = format!("/api/marketplace/offers/{offer}/accept");
                accept = Some(bea.spawn(Method::POST, &path, None));
                tokio::task::yield_now().await;
            }
            acks.push(socket.emit_with_ack("join-request-room", request.as_str()));
        }
        let accept = accept.expect("an accept");
        for (socket, ack) in sockets.iter_mut().zip(acks) {
            let ack = socket.ack(ack).await;
            assert!(ack["success"] == true || ack["code"] == "forbidden", "{ack}");
        }
        assert_eq!(answers([accept]).await[0].0, 200);
        let room = format!("request-{request}");
        assert_eq!(app.emit_to_room(&room, "news", json!(1)).await, 1, "round {round}");
    }
}
