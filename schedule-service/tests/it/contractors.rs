//! Creating, reading and listing contractors.

use serde_json::json;

use crate::service::{Service, plain};

#[tokio::test]
async fn a_contractor_is_created_with_defaults() {
    let service = Service::start().await;
    let created = service.post("/v1/contractors", plain()).await.expect(201);
    assert_eq!(created.etag(), "\"1\"");
    let id = created.id();
    assert_eq!(
        created.header("location"),
        Some(format!("/v1/contractors/{id}").as_str())
    );
    assert_eq!(
        created.body,
        json!({
            "contractorId": id, "name": "Ada Byron", "territory": "london-north", "skills": [],
            "status": "active", "timeZone": "Europe/London",
            "workingHours": [{"days": ["MO", "TU", "WE", "TH", "FR"], "start": "08:00", "end": "17:00"}],
            "dateOverrides": [], "timeOff": [], "jobs": [],
            "bookingRules": {"slotIntervalMinutes": 30, "minNoticeMinutes": 0,
                             "bufferBeforeMinutes": 30, "bufferAfterMinutes": 30},
            "version": 1, "updatedAt": "2026-11-24T08:00:00.123Z",
        })
    );
    let read = service
        .get(&format!("/v1/contractors/{id}/schedule"))
        .await
        .expect(200);
    assert_eq!((read.etag(), &read.body), ("\"1\"", &created.body));
}

#[tokio::test]
async fn a_contractor_is_created_with_a_whole_schedule() {
    let service = Service::start().await;
    let body = json!({
        "contractorId": "018f6b1c-7a2d-7c3e-8f4a-5b6c7d8e9f01",
        "name": "Ada Byron", "territory": "london-north", "skills": ["gas", "boiler", "gas"],
        "status": "onLeave", "timeZone": "Asia/Kathmandu",
        "workingHours": [{"days": ["SA"], "start": "22:00", "end": "06:00"}],
        "dateOverrides": [
            {"date": "2026-12-25", "windows": []},
            {"date": "2026-12-24", "windows": [{"start": "08:00", "end": "24:00"}], "reason": "Eve"},
        ],
        "timeOff": [{"start": "2026-12-28T05:45:00+05:45", "end": "2026-12-30T00:00:00Z", "reason": "leave"}],
        "jobs": [
            {"title": "second", "start": "2026-12-01T11:00:00Z", "end": "2026-12-01T12:00:00Z",
             "bufferBeforeMinutes": 0},
            {"title": "first", "start": "2026-12-01T09:00:00Z", "end": "2026-12-01T11:00:00Z"},
        ],
        "bookingRules": {"bufferBeforeMinutes": 15, "bufferAfterMinutes": 5},
    });
    let created = service
        .post("/v1/contractors", body.clone())
        .await
        .expect(201);
    let mut document = created.body.clone();
    for list in ["timeOff", "jobs"] {
        for entry in document[list].as_array_mut().unwrap() {
            let id = entry.as_object_mut().unwrap().remove("id").unwrap();
            assert!(uuid::Uuid::parse_str(id.as_str().unwrap()).is_ok());
        }
    }
    assert_eq!(
        document,
        json!({
            "contractorId": "018f6b1c-7a2d-7c3e-8f4a-5b6c7d8e9f01",
            "name": "Ada Byron", "territory": "london-north", "skills": ["boiler", "gas"],
            "status": "onLeave", "timeZone": "Asia/Kathmandu",
            "workingHours": [{"days": ["SA"], "start": "22:00", "end": "06:00"}],
            "dateOverrides": [
                {"date": "2026-12-24", "windows": [{"start": "08:00", "end": "24:00"}], "reason": "Eve"},
                {"date": "2026-12-25", "windows": []},
            ],
            "timeOff": [{"start": "2026-12-28T00:00:00Z", "end": "2026-12-30T00:00:00Z", "reason": "leave"}],
            "jobs": [
                {"title": "first", "start": "2026-12-01T09:00:00Z", "end": "2026-12-01T11:00:00Z",
                 "bufferBeforeMinutes": 15, "bufferAfterMinutes": 5},
                {"title": "second", "start": "2026-12-01T11:00:00Z", "end": "2026-12-01T12:00:00Z",
                 "bufferBeforeMinutes": 0, "bufferAfterMinutes": 5},
            ],
            "bookingRules": {"slotIntervalMinutes": 30, "minNoticeMinutes": 0,
                             "bufferBeforeMinutes": 15, "bufferAfterMinutes": 5},
            "version": 1, "updatedAt": "2026-11-24T08:00:00.123Z",
        })
    );
    let read = service
        .get(&format!("/v1/contractors/{}/schedule", created.id()))
        .await;
    assert_eq!(read.expect(200).body, created.body);

    let again = service.post("/v1/contractors", body).await;
    assert_eq!(again.problem(409), "contractor-exists");
    assert_eq!(
        again.body["contractorId"],
        "018f6b1c-7a2d-7c3e-8f4a-5b6c7d8e9f01"
    );
    assert_eq!(service.outbox().await.len(), 1);
}

#[tokio::test]
async fn a_contractor_is_read_and_a_known_version_is_not_sent_again() {
    let service = Service::start().await;
    let id = service.contractor().await;
    for path in [
        format!("/v1/contractors/{id}"),
        format!("/v1/contractors/{id}/schedule"),
    ] {
        let read = service.get(&path).await.expect(200);
        assert_eq!(
            (read.etag(), &read.body["contractorId"]),
            ("\"1\"", &json!(id))
        );
        for known in ["\"1\"", "W/\"1\"", "\"9\", \"1\"", "*"] {
            let reply = service
                .send("GET", &path, &[("if-none-match", known)], None)
                .await;
            assert_eq!((reply.status, reply.text.as_str()), (304, ""), "{known}");
            assert_eq!(reply.etag(), "\"1\"");
        }
        service
            .send("GET", &path, &[("if-none-match", "\"2\"")], None)
            .await
            .expect(200);
        let malformed = service
            .send("GET", &path, &[("if-none-match", "1")], None)
            .await;
        assert_eq!(malformed.problem(400), "malformed-header");
    }
    let read = service.get(&format!("/v1/contractors/{id}")).await;
    assert_eq!(
        read.body,
        json!({
            "contractorId": id, "name": "Ada Byron", "territory": "london-north", "skills": [],
            "status": "active", "timeZone": "Europe/London", "version": 1,
            "createdAt": "2026-11-24T08:00:00.123Z", "updatedAt": "2026-11-24T08:00:00.123Z",
        })
    );
}

#[tokio::test]
async fn a_list_is_paged_without_repeats_while_contractors_are_added() {
    let service = Service::start().await;
    let mut expected = Vec::new();
    for _ in 0..5 {
        expected.push(service.contractor().await);
    }
    expected.sort();
    let mut seen = Vec::new();
    let mut path = "/v1/contractors?limit=2".to_owned();
    loop {
        let page = service.get(&path).await.expect(200);
        let items = page.body["items"].as_array().unwrap();
        assert!(items.len() <= 2);
        seen.extend(
            items
                .iter()
                .map(|item| item["contractorId"].as_str().unwrap().to_owned()),
        );
        // Sorts before all that came so far.
        let early = json!({"contractorId": format!("00000000-0000-7000-8000-{:012}", seen.len()),
                           "name": "Early", "territory": "x", "timeZone": "UTC"});
        service.post("/v1/contractors", early).await.expect(201);
        match page.body["nextCursor"].as_str() {
            Some(cursor) => path = format!("/v1/contractors?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_list_is_filtered_by_territory_and_status() {
    let service = Service::start().await;
    let mut ids = Vec::new();
    for (territory, status) in [("a", "active"), ("a", "inactive"), ("b", "onLeave")] {
        let body =
            json!({"name": "N", "territory": territory, "timeZone": "UTC", "status": status});
        ids.push(service.post("/v1/contractors", body).await.expect(201).id());
    }
    for (query, expected) in [
        ("", vec![0, 1, 2]),
        ("?territory=a", vec![0, 1]),
        ("?status=onLeave", vec![2]),
        ("?territory=a&status=inactive", vec![1]),
        ("?territory=b&status=active", vec![]),
        ("?territory=nowhere", vec![]),
    ] {
        let page = service
            .get(&format!("/v1/contractors{query}"))
            .await
            .expect(200);
        let items = page.body["items"].as_array().unwrap();
        let found: Vec<&str> = items
            .iter()
            .map(|i| i["contractorId"].as_str().unwrap())
            .collect();
        let expected: Vec<&str> = expected
            .into_iter()
            .map(|i: usize| ids[i].as_str())
            .collect();
        assert_eq!(found, expected, "{query}");
        assert_eq!(page.body["nextCursor"], json!(null));
    }
}
