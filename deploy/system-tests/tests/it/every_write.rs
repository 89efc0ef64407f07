//! Every route that writes, and the one event that each write has.

use reqwest::Method;
use serde_json::{Value, json};
use stack::ServiceKind;
use system_tests::http::Answer;
use system_tests::subscriber::SCHEDULE_UPDATED;
use system_tests::{Deployment, Received, ScheduleApi};

use crate::week::Week;

/// What an event says of a change.
#[derive(Debug, PartialEq)]
struct Told {
    contractor: String,
    version: i64,
    fields: Value,
    previous: Value,
    current: Value,
}

/// Writes, and notes what each write has to be told as.
struct Scenario<'a> {
    api: &'a ScheduleApi,
    expected: Vec<Told>,
}

impl Scenario<'_> {
    async fn send(&self, method: Method, path: &str, body: Option<Value>, status: u16) -> Answer {
        let headers = [("if-match", "*")];
        let answer = self.api.send(method, path, &headers, body.as_ref()).await;
        answer.unwrap().expect_status(status)
    }

    /// The event of `contractor` at `version` replaces `previous` by `current`, and no other field.
    fn tell(&mut self, contractor: &str, version: i64, previous: Value, current: Value) {
        let fields: Vec<&String> = previous.as_object().unwrap().keys().collect();
        self.expected.push(Told {
            contractor: contractor.to_owned(),
            version,
            fields: json!(fields),
            previous,
            current,
        });
    }

    async fn create(&mut self, name: &str) -> String {
        let body = json!({"name": name, "territory": "leeds", "timeZone": "Europe/London"});
        let id = self.api.create(&body).await;
        let previous = json!({"bookingRules": null, "name": null, "skills": null, "status": null,
            "territory": null, "timeZone": null, "workingHours": null});
        let current = json!({
            "bookingRules": {"slotIntervalMinutes": 30, "minNoticeMinutes": 0,
                "bufferBeforeMinutes": 30, "bufferAfterMinutes": 30},
            "name": name, "skills": [], "status": "active", "territory": "leeds",
            "timeZone": "Europe/London",
            "workingHours":
                [{"days": ["MO", "TU", "WE", "TH", "FR"], "start": "08:00", "end": "17:00"}],
        });
        self.tell(&id, 1, previous, current);
        id
    }

    /// Patches the schedule; the values before and after are the patch's own.
    async fn patch(&mut self, id: &str, version: i64, previous: Value, current: Value) {
        let path = format!("/contractors/{id}/schedule");
        let answer = self
            .send(Method::PATCH, &path, Some(current.clone()), 200)
            .await;
        assert_eq!(answer.version(), version);
        self.tell(id, version, previous, current);
    }

    async fn put_day(&mut self, id: &str, version: i64, day: &str, old: &Value, new: &Value) {
        let path = format!("/contractors/{id}/date-overrides/{day}");
        let mut body = new.clone();
        body.as_object_mut().unwrap().remove("date");
        let status = if old.is_null() { 201 } else { 200 };
        let answer = self.send(Method::PUT, &path, Some(body), status).await;
        assert_eq!(answer.version(), version);
        self.tell(
            id,
            version,
            json!({"dateOverrides": {day: old}}),
            json!({"dateOverrides": {day: new}}),
        );
    }
}

#[tokio::test]
async fn every_kind_of_write_publishes_exactly_one_event_with_its_values() {
    let deployment = only_the_write_side().await;
    let exchange = deployment.subscriber("schedule.updated.v1.#").await;
    let api = &deployment.schedules;
    let week = Week::ahead();
    let mut told = Scenario {
        api,
        expected: Vec::new(),
    };

    let ada = told.create("Ada").await;
    let ben = told.create("Ben").await;

    let default_hours =
        json!([{"days": ["MO", "TU", "WE", "TH", "FR"], "start": "08:00", "end": "17:00"}]);
    let rules = |interval: u32, notice: u32| {
        json!({"slotIntervalMinutes": interval, "minNoticeMinutes": notice,
            "bufferBeforeMinutes": 30, "bufferAfterMinutes": 30})
    };
    let patches = [
        (json!({"name": "Ada"}), json!({"name": "Ada Byron"})),
        (json!({"territory": "leeds"}), json!({"territory": "york"})),
        (json!({"skills": []}), json!({"skills": ["gas", "solar"]})),
        (json!({"status": "active"}), json!({"status": "onLeave"})),
        (
            json!({"timeZone": "Europe/London"}),
            json!({"timeZone": "Europe/Paris"}),
        ),
        (
            json!({"workingHours": default_hours}),
            json!({"workingHours": [{"days": ["SA", "SU"], "start": "22:00", "end": "06:00"}]}),
        ),
        (
            json!({"bookingRules": rules(30, 0)}),
            json!({"bookingRules": rules(15, 60)}),
        ),
        (
            json!({"name": "Ada Byron", "status": "onLeave", "territory": "york"}),
            json!({"name": "Ada", "status": "active", "territory": "leeds"}),
        ),
    ];
    let mut version = 1;
    for (previous, current) in patches {
        version += 1;
        told.patch(&ada, version, previous, current).await;
    }

    let day = week.date(2);
    let half =
        json!({"date": day, "windows": [{"start": "08:00", "end": "12:00"}], "reason": "Half"});
    let off = json!({"date": day, "windows": []});
    told.put_day(&ada, 10, &day, &Value::Null, &half).await;
    told.put_day(&ada, 11, &day, &half, &off).await;
    let path = format!("/contractors/{ada}/date-overrides/{day}");
    told.send(Method::DELETE, &path, None, 204).await;
    told.tell(
        &ada,
        12,
        json!({"dateOverrides": {&day: off}}),
        json!({"dateOverrides": {&day: null}}),
    );

    let path = format!("/contractors/{ada}/time-off");
    let leave = json!({"start": week.at(3, 0), "end": week.at(5, 0), "reason": "Leave"});
    let answer = told.send(Method::POST, &path, Some(leave), 201).await;
    let leave = answer.body;
    let leave_id = leave["id"].as_str().unwrap();
    let (absent, present) = (
        json!({"timeOff": {leave_id: null}}),
        json!({"timeOff": {leave_id: leave}}),
    );
    told.tell(&ada, 13, absent.clone(), present.clone());
    told.send(Method::DELETE, &format!("{path}/{leave_id}"), None, 204)
        .await;
    told.tell(&ada, 14, present, absent);

    let answer = api.book(&ada, &week.job("Meter", 1, 600, 660)).await;
    let mut job = answer.expect_status(201).body;
    let owner = job.as_object_mut().unwrap().remove("contractorId");
    assert_eq!(owner, Some(json!(ada)));
    let job_id = job["id"].as_str().unwrap().to_owned();
    let jobs = |job: &Value| json!({"jobs": {&job_id: job}});
    told.tell(&ada, 15, jobs(&Value::Null), jobs(&job));

    let path = format!("/jobs/{job_id}");
    let later = json!({"start": week.at(1, 720), "end": week.at(1, 780)});
    told.send(Method::PATCH, &path, Some(later), 200).await;
    let mut moved = job.clone();
    moved["start"] = week.at(1, 720).into();
    moved["end"] = week.at(1, 780).into();
    told.tell(&ada, 16, jobs(&job), jobs(&moved));

    // To another contractor: two schedules, one event each.
    let to_ben = json!({"contractorId": ben});
    told.send(Method::PATCH, &path, Some(to_ben), 200).await;
    told.tell(&ada, 17, jobs(&moved), jobs(&Value::Null));
    told.tell(&ben, 2, jobs(&Value::Null), jobs(&moved));
    told.send(Method::DELETE, &path, None, 204).await;
    told.tell(&ben, 3, jobs(&moved), jobs(&Value::Null));

    assert_told(
        &deployment,
        &exchange.received_of(&told.expected).await,
        told.expected,
    )
    .await;
}

#[tokio::test]
async fn a_change_that_changes_nothing_publishes_nothing() {
    let deployment = only_the_write_side().await;
    let exchange = deployment.subscriber("schedule.updated.v1.#").await;
    let week = Week::ahead();
    let mut told = Scenario {
        api: &deployment.schedules,
        expected: Vec::new(),
    };
    let id = told.create("Ada").await;
    let day = week.date(2);
    let off = json!({"date": day, "windows": []});
    told.put_day(&id, 2, &day, &Value::Null, &off).await;

    let schedule = format!("/contractors/{id}/schedule");
    for same in [
        json!({}),
        json!({"name": "Ada"}),
        json!({"skills": [], "status": null}),
    ] {
        let answer = told.send(Method::PATCH, &schedule, Some(same), 200).await;
        assert_eq!(answer.version(), 2, "the version stays");
    }
    let path = format!("/contractors/{id}/date-overrides/{day}");
    let answer = told
        .send(Method::PUT, &path, Some(json!({"windows": []})), 200)
        .await;
    assert_eq!(answer.version(), 2, "the version stays");

    // The next change is the next version, and its event the next event.
    told.patch(&id, 3, json!({"name": "Ada"}), json!({"name": "Ada Byron"}))
        .await;
    assert_told(
        &deployment,
        &exchange.received_of(&told.expected).await,
        told.expected,
    )
    .await;
}

/// Waits for the last of what is expected.
trait ReceivedOf {
    async fn received_of(&self, expected: &[Told]) -> Vec<Received>;
}

impl ReceivedOf for system_tests::Subscriber {
    async fn received_of(&self, expected: &[Told]) -> Vec<Received> {
        for told in expected {
            self.event(SCHEDULE_UPDATED, &told.contractor, told.version)
                .await;
        }
        self.received()
    }
}

/// Events and history say the same, and exactly what was expected.
async fn assert_told(deployment: &Deployment, received: &[Received], mut expected: Vec<Told>) {
    let mut told: Vec<Told> = received.iter().map(|event| tell(event.data())).collect();
    let mut recorded = Vec::new();
    let mut contractors: Vec<&str> = expected.iter().map(|e| e.contractor.as_str()).collect();
    contractors.sort_unstable();
    contractors.dedup();
    for contractor in contractors {
        let history = deployment.schedules.history(contractor).await;
        recorded.extend(history.iter().map(tell));
        // The last event holds the schedule as it is read.
        let last = received
            .iter()
            .filter(|event| event.data()["contractorId"] == contractor)
            .max_by_key(|event| event.version())
            .unwrap();
        let schedule = deployment.schedules.schedule(contractor).await;
        assert_eq!(last.data()["schedule"], schedule);
    }
    let order = |a: &Told, b: &Told| (&a.contractor, a.version).cmp(&(&b.contractor, b.version));
    expected.sort_by(order);
    told.sort_by(order);
    assert_eq!(told, expected);
    assert_eq!(recorded, expected);
    deployment.assert_sound().await;
}

fn tell(data: &Value) -> Told {
    Told {
        contractor: data["contractorId"].as_str().unwrap().to_owned(),
        version: data["version"].as_i64().unwrap(),
        fields: data["updatedFields"].clone(),
        previous: data["previousValues"].clone(),
        current: data["currentValues"].clone(),
    }
}

async fn only_the_write_side() -> Deployment {
    Deployment::start_with(|builder| builder.count(ServiceKind::Notifier, 0)).await
}
