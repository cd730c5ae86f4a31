"""Which tests hold which kind of attack, so that they can be run as a set.

    pytest $(python -m tests.attackclasses)            all of them
    pytest $(python -m tests.attackclasses caches)     those of one kind

An entry is a file below `tests/`, with `::` and a test in it where the others of that file are about something else.
"""

from __future__ import annotations

import sys

CLASSES: dict[str, tuple[str, ...]] = {
    "signatures and what passes between jobs": (
        "unit/test_index.py", "unit/test_keys.py", "unit/test_binding.py", "unit/test_manifest.py",
        "unit/test_refused.py", "unit/test_sealed.py", "unit/test_planfile_encrypted.py", "unit/test_update_attacks.py",
        "e2e/test_handed_over.py", "e2e/test_takeover.py", "e2e/test_older_commit.py", "e2e/test_encryption.py",
    ),
    "forgeries": (
        "unit/test_forgeries.py", "unit/test_ledger_forgeries.py", "unit/test_observation_forgeries.py",
    ),
    "ledger": (
        "unit/test_ledger_chain.py", "unit/test_ledger_machine.py", "e2e/test_ledger_trust.py", "e2e/test_ledger_forged.py",
        "e2e/test_dashboard_ledger.py", "unit/test_ledger_witness.py", "e2e/test_ledger_witness.py",
        "unit/test_approvals.py", "unit/test_statecopy.py",
        "e2e/test_restore.py::test_another_or_a_newer_state_is_not_overwritten",
        "e2e/test_restore.py::test_nothing_is_restored_while_another_run_deploys",
        "unit/test_githome.py::test_what_was_planted_in_the_cached_repository_is_not_run",
        "unit/test_githome.py::test_no_credential_in_any_message",
        "unit/test_githome.py::test_a_token_is_not_sent_in_clear",
        "unit/test_githome.py::test_hooks_signing_and_filters_of_the_user_stay_out",
        "unit/test_ci_environment.py::test_only_a_pipeline_that_another_one_started_is_a_part_of_it",
    ),
    "gate against other authors": (
        "unit/test_review.py", "e2e/test_ledger_review.py",
        "e2e/test_forges.py::test_with_fail_nothing_is_deployed_that_was_not_reviewed",
        "e2e/test_forges.py::test_a_push_without_a_merge_request_is_unreviewed",
        "e2e/test_forges.py::test_a_last_push_that_was_not_planned_is_unreviewed",
        "e2e/test_forges.py::test_with_a_key_a_record_that_somebody_edited_does_not_count",
        "e2e/test_forges.py::test_a_comment_of_somebody_else_is_no_review",
        "e2e/test_forges.py::test_a_plan_that_deploy_makes_for_itself_is_compared_too",
        "e2e/test_forges.py::test_a_plan_json_that_somebody_edited_is_not_believed",
    ),
    "comments and tokens of forges": (
        "unit/test_markdown.py", "unit/test_forges.py", "unit/test_notifications.py::test_a_value_calls_nobody_in_a_chat",
        "e2e/test_notifications.py::test_no_url_stands_in_what_is_printed_or_kept",
        "e2e/test_notifications.py::test_a_url_in_the_configuration_is_refused_without_showing_it",
    ),
    "logs": (
        "unit/test_cilog.py", "unit/test_text.py", "unit/test_errors.py::test_every_text_of_a_problem_is_masked",
        "e2e/test_output.py::test_what_ends_a_run_at_its_start_gives_no_commands_to_the_log",
        "e2e/test_output.py::test_a_pipe_or_link_in_place_of_a_record_is_refused_and_never_waited_for",
    ),
    "secrets": (
        "unit/test_masking.py", "unit/test_search.py", "unit/test_known_values.py", "unit/test_ownenvironment.py",
        "unit/test_process.py", "unit/test_backend.py::test_a_credential_in_the_backends_settings_is_refused_without_its_value",
        "e2e/test_secret_kinds.py", "e2e/test_own_words.py", "e2e/test_secrets.py", "e2e/test_nasty_plan.py",
        "e2e/test_backends.py::test_credentials_are_found_nowhere",
    ),
    "addresses": (
        "unit/test_http.py", "e2e/test_overlays.py::test_credentials_in_a_url_are_never_shown_nor_stored_nor_arguments",
        "unit/test_check_http.py::test_credentials_in_a_url_are_sent_and_never_shown",
        "unit/test_check_http.py::test_credentials_do_not_follow_a_redirect_to_another_host",
        "e2e/test_overlays.py::test_a_git_that_hangs_is_ended_in_time",
        "e2e/test_setup.py::test_a_mirror_without_encryption_is_refused_and_its_credentials_are_shown_nowhere",
    ),
    "paths, links and pipes": (
        "unit/test_files.py", "unit/test_private_files.py", "unit/test_unreadable.py", "e2e/test_planted.py", "e2e/test_swap.py",
        "e2e/test_overlays.py::test_links_that_may_leave_the_tree_are_refused",
        "e2e/test_overlays.py::test_a_deploy_folder_behind_a_link_is_refused",
    ),
    "dashboard and pages": (
        "e2e/test_dashboard.py::test_no_path_leads_out_of_the_records",
        "e2e/test_dashboard.py::test_every_answer_has_security_headers",
        "e2e/test_dashboard.py::test_only_users_named_by_the_proxy_have_access_where_that_is_configured",
        "e2e/test_dashboard.py::test_records_with_duplicate_names_markup_and_javascript_names_are_shown_and_pages_keep_working",
        "e2e/test_dashboard.py::test_incomplete_and_invalid_records_are_left_out", "unit/test_reports.py",
    ),
    "documents that are bombs": ("unit/test_yamlfile.py", "unit/test_jsontext.py"),
    "policies": ("unit/test_policy.py", "e2e/test_policy.py", "unit/test_tightening.py"),
    "caches and downloads": (
        "unit/test_trusted.py", "unit/test_published.py", "unit/test_cachedtree.py", "unit/test_toolversion.py",
        "e2e/test_setup.py", "e2e/test_providercache.py", "e2e/test_image_proofs.py", "unit/test_image_layout.py",
    ),
    "jobs of pipelines": ("unit/test_shipped_pipelines.py", "unit/test_keys_of_pipelines.py"),
}  # fmt: skip


def named(kind: str = "") -> list[str]:
    """The tests of the kinds whose name contains a word; of all by default."""
    return [f"tests/{test}" for name, tests in CLASSES.items() if kind in name for test in tests]


if __name__ == "__main__":
    print("\n".join(named(*sys.argv[1:2])))
