//! What every registry must do, whatever database is behind it.
//!
//! A case is a function of a new, empty registry (of a filled one for those that only read), named in the list below: it
//! becomes a test in each of the databases. Cases that only read are asked of a snapshot too.

#![expect(clippy::unwrap_used, reason = "the cases are tests, called by a macro")]

mod registry_cases;
mod servers;

macro_rules! contract {
    ($($room:ident { $($case:ident)* })*) => {
        mod memory {
            $($(#[test] fn $case() { super::registry_cases::$room::$case(&bunter::Registry::in_memory().unwrap()); })*)*
        }
        mod sqlite_file {
            $($(#[test] fn $case() {
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join("registry.sqlite3");
                super::registry_cases::$room::$case(&bunter::Registry::create(&path).unwrap());
                // What was written is still there for whoever opens the file next.
                bunter::Registry::open(&path).unwrap();
            })*)*
        }
        mod postgres {
            $($(#[test] fn $case() {
                let Some(registry) = super::servers::new_registry(super::servers::Kind::Postgres) else { return };
                super::registry_cases::$room::$case(&registry);
            })*)*
        }
        mod mariadb {
            $($(#[test] fn $case() {
                let Some(registry) = super::servers::new_registry(super::servers::Kind::Mariadb) else { return };
                super::registry_cases::$room::$case(&registry);
            })*)*
        }
    };
}

/// Cases that only read: of one filled registry a database, and of a snapshot of it.
macro_rules! reading_contract {
    ($($room:ident { $($case:ident)* })*) => {
        mod reading_memory {
            $($(#[test] fn $case() { super::registry_cases::$room::$case(super::registry_cases::reading::memory()); })*)*
        }
        mod reading_sqlite_file {
            $($(#[test] fn $case() { super::registry_cases::$room::$case(super::registry_cases::reading::file()); })*)*
        }
        mod reading_snapshot {
            $($(#[test] fn $case() { super::registry_cases::$room::$case(super::registry_cases::reading::snapshot()); })*)*
        }
        mod reading_postgres {
            $($(#[test] fn $case() {
                let Some(registry) = super::registry_cases::reading::postgres() else { return };
                super::registry_cases::$room::$case(registry);
            })*)*
        }
        mod reading_mariadb {
            $($(#[test] fn $case() {
                let Some(registry) = super::registry_cases::reading::mariadb() else { return };
                super::registry_cases::$room::$case(registry);
            })*)*
        }
    };
}

contract! {
    records {
        records_come_back_as_written
        writing_again_is_counted_and_a_difference_is_named
        absent_columns_are_not_compared
        nan_is_absent
        records_need_what_they_refer_to
        bad_tables_are_refused
        derived_and_computed_records_are_not_written
        metadata_can_be_replaced_but_not_names
        sky_maps
    }
    filters {
        filters_choose_the_same_rows_as_a_loop
        long_lists
        wrong_names_in_filters_are_told
        hostile_texts_are_values_and_nothing_else
        order_and_limit
    }
    collections {
        collections_are_listed
        chains_that_cannot_be
        deep_chains_and_diamonds
        search_order_decides
        patterns_of_collections
    }
    datasets {
        dataset_types_are_kept
        a_type_without_dimensions
        datasets_come_with_their_dimensions
        finding_checks_the_data_id
        file_records_come_back
        the_same_dataset_twice_and_twins
        datasets_need_what_they_refer_to
        removing_forgets
        coadds_are_filtered_by_patch_and_band
        two_threads_share_a_registry
    }
    quanta {
        quanta_come_back
        the_latest_quantum_wins_in_any_order
        bad_quanta_are_refused
        a_fold_is_all_or_nothing_and_repeatable
    }
    tagged {
        tagged_datasets_are_found
        tagged_collections_are_searched_at_their_place
        a_dataset_in_two_collections_comes_once
        one_dataset_a_name_in_a_tagged_collection
        associating_wants_what_exists
        disassociated_datasets_stay
        each_type_has_its_own_path
        a_search_explains_itself
        chains_are_edited
        edits_that_cannot_be
        chains_obey_a_list
        collections_are_removed
        a_search_is_a_value
    }
    calibrations {
        lookups_by_time
        unbounded_validity
        clashes_are_named
        certifying_wants_what_exists
        decertifying_shortens_and_cuts
        ranges_obey_a_list
        flavours_are_chosen_by_collection
        a_search_without_a_time_passes_calibrations_over
        lookups_by_visit
        bad_lookups_are_refused
        the_table_of_ranges
    }
    provenance {
        the_first_writes_and_others_compare
        a_difference_is_told_by_key_and_refused
        provenance_is_of_runs_and_has_names
        numbers_and_texts_differ
    }
    changes {
        one_number_a_transaction
        only_what_is_new_comes
        what_went_is_told
        the_last_row_removed_and_another_written
        everything_that_changes_is_told
        numbers_of_other_registries_are_refused
        a_refused_write_is_no_change
    }
    guards {
        who_makes_a_run_owns_it
        a_sealed_run_is_not_written_to
        another_s_run_is_not_written_to
        another_s_collections_are_not_changed
        what_others_use_is_not_pruned
        what_is_picked_is_unlinked_first
        unlinking_wants_the_right_to
    }
    databases {
        texts_compare_by_bytes
        blanks_at_the_end_count
        names_of_255_bytes
        signs_of_four_bytes
        extreme_integers
        extreme_reals
        all_bytes_and_large_ones
        many_records_new_and_old
        a_difference_among_many_records
        many_datasets_new_and_old
        twins_among_many_datasets
        a_missing_record_among_many
        an_identity_of_another_type_among_many
        types_of_many_dimensions
        a_refused_type_leaves_nothing
        texts_that_would_be_sql
        patterns_have_no_other_signs
        a_refusal_is_not_the_end
        regions_have_a_history
        images_near_a_place
        long_lists_of_texts
        removing_many
        a_moment_stays_what_it_was
    }
}

reading_contract! {
    reading {
        dataset_types_by_name
        an_unknown_type_has_a_near_miss
        collections_by_name_with_children
        records_come_in_the_order_of_their_keys
        filters_by_metadata
        filters_by_an_implied_band
        absent_values_are_not_compared
        patterns_of_texts
        ranges_and_lists
        absent_values_come_last_in_either_order
        the_limit_is_of_ordered_rows
        empty_answers_have_their_columns
        derived_records_are_distinct
        computed_records_are_refused
        unknown_names_have_near_misses
        reals_come_back_to_the_last_bit
        datasets_have_their_implied_dimensions
        the_first_of_a_chain_is_found
        all_of_a_chain_come_in_its_order
        patterns_name_collections
        an_unknown_collection_has_a_near_miss
        datasets_by_metadata_and_order
        coadds_by_patch_and_band
        one_dataset_is_found
        implied_values_must_agree
        finding_wants_all_keys_of_their_types
        datasets_by_identity
        files_in_the_order_asked
        sky_map_definitions
        the_region_state_is_said
        images_with_their_regions
    }
}
