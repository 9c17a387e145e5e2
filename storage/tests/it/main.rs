//! One conformance suite over both back ends: what `docs/STORAGE.md` promises, on SQLite files and on a Postgres of its own.
//!
//! Each case is an async function over a [`support::Bench`], run as a test of its own for SQLite. Postgres runs them in one test, so that a runner
//! that starts a process a test still starts one server (or uses the one of `SPOTTER_TEST_POSTGRES`); each case has a database.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(
    clippy::disallowed_methods,
    reason = "the suite is its own hub: it runs the driver, waits for conditions and reads its own switch"
)]

mod case;
mod support;

/// Cases that run at once on Postgres. Each opens a handful of connections, of which the server has sixty.
const AT_ONCE: usize = 5;

/// Names every case once: a test each on SQLite, one list on Postgres.
macro_rules! conformance {
    ($($module:ident :: $case:ident),+ $(,)?) => {
        mod sqlite {
            $(#[test]
            fn $case() {
                crate::support::run(async {
                    let bench = crate::support::Bench::sqlite();
                    crate::case::$module::$case(&bench).await;
                });
            })+
        }

        #[test]
        fn postgres() {
            crate::support::run(async {
                let own = crate::support::postgres::Server::start().await;
                // First, while the server has few files: a crash recovery syncs every file of every database.
                crate::case::postgres_only::all(&own).await;
                crate::case::restore::a_dump_comes_back_and_what_it_missed_is_stored_once(&own).await;
                // Each has a database of its own and mostly waits: some at a time.
                let server = &own;
                let cases: Vec<futures_util::future::LocalBoxFuture<'_, ()>> = vec![$(Box::pin(async move {
                    let began = std::time::Instant::now();
                    let bench = crate::support::Bench::postgres(server, stringify!($case)).await;
                    crate::case::$module::$case(&bench).await;
                    bench.remove(server).await;
                    eprintln!(concat!("postgres: ", stringify!($case), " {:?}"), began.elapsed());
                })),+];
                futures_util::StreamExt::for_each_concurrent(futures_util::stream::iter(cases), AT_ONCE, |case| case).await;
                own.stop().await;
            });
        }
    };
}

conformance! {
    recorder::any_permutation_with_duplicates_is_stored_once,
    recorder::the_same_number_with_other_content_goes_to_quarantine,
    recorder::a_poison_row_does_not_hold_up_its_neighbours,
    recorder::what_the_database_refuses_is_found_and_put_aside,
    recorder::what_is_refused_outside_the_rows_holds_nobody_up,
    recorder::another_nonce_is_a_conflict_and_not_stored,
    recorder::a_derived_field_makes_no_other_reading,
    recorder::what_is_lost_counts_as_stored_and_stays_apart,
    recorder::an_old_buffer_is_refused_after_its_rows_are_gone,
    recorder::a_full_queue_refuses_and_tells_when_there_is_room,
    recorder::a_row_turned_away_for_its_facts_is_wanted_once_they_are_given,
    recorder::times_from_1970_to_2199_are_kept_and_others_put_aside,
    recorder::reps_sets_and_strokes_share_the_numbers_of_their_boot,
    fault::a_locked_database_holds_rows_and_loses_none,
    fault::a_drain_writes_what_waits,
    fault::a_killed_writer_loses_and_doubles_nothing,
    fault::a_row_that_was_told_as_stored_has_the_facts_before_it,
    fault::facts_that_fill_a_transaction_wait_for_no_rows,
    fault::two_nodes_store_each_row_once,
    store::a_newer_schema_is_refused_with_words,
    store::node_starts_count_up,
    store::nothing_crosses_tenants,
    store::provisioning_twice_changes_nothing,
    store::facts_are_idempotent_and_seed_a_gym,
    store::events_follow_a_cursor_and_age_by_kind,
    store::keys_and_revocations_are_kept,
    board::a_board_is_put_changed_and_taken_down_by_its_own_tenant,
    board::what_a_board_counted_is_kept_once_and_named_only_with_consent,
    board::a_board_names_no_member_of_another_tenant,
    device::a_code_makes_one_device_once,
    device::a_code_is_for_a_gateway_or_machine_of_the_gym,
    device::a_key_names_one_device_for_ever,
    device::a_new_key_is_used_beside_the_old_for_the_overlap,
    device::whoever_redeems_takes_the_place_of_the_one_before,
    device::marks_are_kept_and_who_made_them,
    device::of_many_who_redeem_at_once_one_does,
    device::of_two_codes_at_once_one_device_stands,
    device::a_code_for_a_machine_that_went_is_good_no_more,
    device::of_devices_that_stand_together_the_last_is_left,
    training::totals_equal_an_independent_recompute,
    training::late_rows_amend_a_sealed_workout,
    training::what_comes_between_the_adding_up_and_the_seal_amends,
    training::nothing_between_the_adding_up_and_the_seal_makes_no_revision,
    training::samples_come_by_page_range_and_resolution,
    training::checksums_equal_the_senders_own,
    history::packing_changes_no_answer_and_refuses_old_buffers,
    history::late_rows_amend_what_is_packed_and_are_packed_again,
    history::a_killed_packer_loses_and_doubles_nothing,
    history::readings_of_no_workout_are_packed_by_whole_days,
    history::days_are_the_gyms_own_over_both_changes_of_a_year,
    history::readings_go_before_their_minutes_and_each_gym_has_its_rule,
    history::late_rows_leave_the_totals_of_what_was_forgotten,
    history::what_cannot_be_read_holds_nothing_else_up,
    erasure::an_erased_member_is_in_no_table_and_no_file_and_does_not_come_back,
    erasure::erasing_one_leaves_another,
    erasure::what_waits_in_a_queue_while_its_member_is_erased_is_erased_too,
    erasure::a_member_is_erased_beside_a_busy_writer,
    erasure::an_erasure_that_was_cut_is_finished_after_the_next_start,
    tenants::an_erasure_touches_nothing_of_another_tenant_with_the_same_subject,
    tenants::more_days_and_events_than_a_page_are_all_given,
    tenants::a_mark_of_the_binary_before_holds_for_its_tenant,
    history::a_set_is_kept_while_its_readings_are_packed,
    transfer::a_store_is_copied_whole_and_only_once,
    transfer::an_interrupted_copy_goes_on_where_it_stood,
    transfer::a_copy_is_refused_where_it_would_do_harm,
    transfer::two_tenants_with_one_subject_have_sources_of_their_own,
    transfer::the_previous_binary_makes_sources_beside_this_one,
    transfer::a_recording_is_one_workout_however_often_it_comes,
    transfer::an_interrupted_recording_is_completed,
}
