"""Reads a FIT file of ours with somebody else's decoder (PyPI fitdecode) and holds every value against the recording that it was made of.

    python3 activity/tests/independent.py RECORDING.jsonl OUT.fit

Exits 0 where records, laps, the session, the set and the activity say what they should."""

import json
import sys

import fitdecode


def messages(path):
    found = {}
    with fitdecode.FitReader(path, check_crc=fitdecode.CrcCheck.RAISE, error_handling=fitdecode.ErrorHandling.RAISE) as reader:
        for frame in reader:
            if isinstance(frame, fitdecode.FitDataMessage):
                found.setdefault(frame.name, []).append({field.name: field.value for field in frame.fields})
    return found


def near(what, ours, theirs, by):
    if theirs is None:
        return
    assert ours is not None and abs(ours - theirs) <= by, f"{what}: {ours} in the file, {theirs} recorded"


def main(recording, file):
    with open(recording, encoding="utf-8") as lines:
        wanted = [json.loads(line) for line in list(lines)[1:]]
    found = messages(file)
    records = found["record"]
    assert len(records) == len(wanted), f"{len(records)} records of {len(wanted)}"
    begin = records[0]["timestamp"]
    first = round(wanted[0].get("dist_m", 0))
    for at, (record, want) in enumerate(zip(records, wanted)):
        assert (record["timestamp"] - begin).total_seconds() * 1000 == want["t"], at
        near(f"{at} heart rate", record.get("heart_rate"), want.get("hr") or None, 0)
        near(f"{at} power", record.get("power"), want.get("w"), 0)
        cadence = None if record.get("cadence") is None else record["cadence"] + (record.get("fractional_cadence") or 0)
        near(f"{at} cadence", cadence, want.get("cad"), 0)
        near(f"{at} speed", record.get("enhanced_speed"), want.get("spd_mps"), 0.0025)
        near(f"{at} distance", record.get("distance"), None if "dist_m" not in want else round(want["dist_m"]) - first, 1)
    (session,), (activity,), (file_id,) = found["session"], found["activity"], found["file_id"]
    power = [want["w"] for want in wanted if "w" in want]
    heart = [want["hr"] for want in wanted if want.get("hr")]
    assert file_id["type"] == "activity" and session["sport"] == "cycling" and session["sub_sport"] == "indoor_cycling"
    assert session["total_elapsed_time"] * 1000 == wanted[-1]["t"] == activity["total_timer_time"] * 1000
    assert session["num_laps"] == len(found["lap"]) == 1 and activity["num_sessions"] == 1
    for name, values in (("power", power), ("heart_rate", heart)):
        if values:
            near(f"average {name}", session[f"avg_{name}"], sum(values) / len(values), 0.51)
            assert session[f"max_{name}"] == max(values), name
    if "dist_m" in wanted[-1]:
        near("total distance", session["total_distance"], round(wanted[-1]["dist_m"]) - first, 1)
        assert sum(lap["total_distance"] for lap in found["lap"]) == session["total_distance"] == records[-1]["distance"]
    (one,) = found["set"]
    assert (one["repetitions"], one["weight"], one["duration"], one["set_type"]) == (8, 82.5, 30, "active"), one
    names = [device["product_name"] for device in found["device_info"]]
    assert names == ["Spotter", "Bike 4"], names
    print(f"{file}: {len(records)} records are what was recorded")


main(*sys.argv[1:])
