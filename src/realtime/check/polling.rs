//! A long-polling client, of either Engine.IO version, which changes to a websocket as the official
//! clients do.
