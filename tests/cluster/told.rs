//! What operators are told of the nodes.

use serde_json::{Value, json};

use super::Common;
use crate::support::TestApp;

async fn node(common: &Common, name: &str) -> TestApp {
    let node = Box::pin(TestApp::with(|config| {
        common.set(config);
        config.log.node = Some(name.to_owned());
    }));
    let node = node.await;
    node.joined().await;
    node
}

#[tokio::test]
async fn each_node_tells_of_all() {
    let common = Common::new().await;
    let [right, left] = [node(&common, "right").await, node(&common, "left").await];
    for node in [&right, &left] {
        let told = node.get("/api/nodes").await.ok();
        let names: Vec<&Value> =
            told["items"].as_array().expect("nodes").iter().map(|node| &node["name"]).collect();
        assert_eq!(names, [&json!("left"), &json!("right")], "{told}");
        assert_eq!(told["partial"], false);
    }
}
