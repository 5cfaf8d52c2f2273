//! What every registry must do, whatever database is behind it.

#![expect(clippy::unwrap_used, reason = "the cases are tests, called by a macro")]

mod registry_cases;

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
}
