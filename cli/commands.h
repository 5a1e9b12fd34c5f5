/* SPDX-License-Identifier: Apache-2.0 */
/* The commands. Each returns an exit code (enum wc_exit) after printing what it has to. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "cli/args.h"
#include "cli/run.h"

/* Ends with an entry without a path. */
extern const struct wc_command wc_commands[];

/* The program: parse, help, run. Returns the exit code of the process. */
int wc_cli_main(int argc, char **argv);

int wc_cmd_find(struct wc_run *run);
int wc_cmd_ask(struct wc_run *run);
int wc_cmd_show(struct wc_run *run);
int wc_cmd_me_show(struct wc_run *run);
int wc_cmd_me_set(struct wc_run *run);
int wc_cmd_me_edit(struct wc_run *run);
int wc_cmd_me_add(struct wc_run *run);
int wc_cmd_me_drop(struct wc_run *run);
int wc_cmd_me_export(struct wc_run *run);
int wc_cmd_erase(struct wc_run *run);
int wc_cmd_me_confirm(struct wc_run *run);
int wc_cmd_me_reject(struct wc_run *run);
int wc_cmd_import(struct wc_run *run);
int wc_cmd_export(struct wc_run *run);
int wc_cmd_offices(struct wc_run *run);
int wc_cmd_status(struct wc_run *run);
int wc_cmd_metrics(struct wc_run *run);
int wc_cmd_watch(struct wc_run *run);
int wc_cmd_org_show(struct wc_run *run);
int wc_cmd_org_create(struct wc_run *run);
int wc_cmd_org_invite(struct wc_run *run);
int wc_cmd_org_admit(struct wc_run *run);
int wc_cmd_org_list(struct wc_run *run);
int wc_cmd_org_revoke(struct wc_run *run);
int wc_cmd_org_publish(struct wc_run *run);
int wc_cmd_org_renew(struct wc_run *run);
int wc_cmd_org_rotate(struct wc_run *run);
int wc_cmd_office_show(struct wc_run *run);
int wc_cmd_office_join(struct wc_run *run);
int wc_cmd_relay(struct wc_run *run); /* host.c */
int wc_cmd_audit(struct wc_run *run);
int wc_cmd_doctor(struct wc_run *run);
int wc_cmd_skills(struct wc_run *run);
int wc_cmd_vocabulary_list(struct wc_run *run);
int wc_cmd_vocabulary_export(struct wc_run *run);
int wc_cmd_vocabulary_check(struct wc_run *run); /* cmd_vocabulary.c */
int wc_cmd_vocabulary_import(struct wc_run *run);
int wc_cmd_office_request(struct wc_run *run);
int wc_cmd_office_leave(struct wc_run *run);

/* export --about: cmd_about.c has it, and does not write rows. */
int wc_cmd_export_about(struct wc_run *run, const char *handle);

/* Have a person type yes, unless --yes was given. 0, or the exit code after saying that
 * there is nobody to ask, or that nothing is deleted. */
int wc_run_confirm(struct wc_run *run, const char *question);

#endif
