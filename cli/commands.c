/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"

#include <signal.h>
#include <stdio.h>

#define FIELDS_HELP                                                                    \
    "Fields: name, title, team, skills, interests, ask_me_about, languages,\n"         \
    "working_days, email, phone, willing.\n"

const struct wc_command wc_commands[] = {
    {"find", "QUERY...", "Find people among all profiles that are here",
     "Answers at once, from what this office holds. To put the question to every\n"
     "office, use `whocan ask`.\n\n"
     "With --facets it also counts what those who match can do, at which level, and "
     "in\n"
     "which offices they are.\n\n"
     "  whocan find web accessibility\n"
     "  whocan find \"start a blog\" --limit 3 --json\n"
     "  whocan find data protection --level practitioner --today\n"
     "  whocan find gis --mentor --language norwegian --team planning\n\n"
     "--level and --mentor are about the skill that answers what you look for.\n"
     "--explain shows what each word was looked for as, what it weighs, and the "
     "time.\n",
     WC_OPT_BIT(WC_OPT_EXPLAIN) | WC_OPT_BIT(WC_OPT_LIMIT) | WC_OPT_BIT(WC_OPT_FACETS) |
         WC_OPT_BIT(WC_OPT_OFFICE) | WC_OPT_BIT(WC_OPT_TEAM) |
         WC_OPT_BIT(WC_OPT_LEVEL) | WC_OPT_BIT(WC_OPT_LANGUAGE) |
         WC_OPT_BIT(WC_OPT_MENTOR) | WC_OPT_BIT(WC_OPT_TODAY),
     1, -1, wc_cmd_find},
    {"ask", "TEXT...", "Ask every office at once",
     "Every office looks among its own people and answers. On a terminal the answers\n"
     "appear as they arrive; Ctrl-C ends the wait and keeps what has come.\n\n"
     "  whocan ask \"we want to start a blog, who can help?\"\n"
     "  whocan ask --wait 10 --json who speaks Norwegian\n",
     WC_OPT_BIT(WC_OPT_WAIT) | WC_OPT_BIT(WC_OPT_LIMIT), 1, -1, wc_cmd_ask},
    {"show", "HANDLE", "Show one person",
     "A handle is a login (alice), or a login and an office (alice@leeds). With --as\n"
     "you see what others see: organisation (every office) or office (yours); of\n"
     "yourself also match (what a question is compared with) and me (everything).\n",
     WC_OPT_BIT(WC_OPT_AS), 1, 1, wc_cmd_show},
    {"me show", "", "Show your own profile", "", 0, 0, 0, wc_cmd_me_show},
    {"me edit", "", "Edit your profile in your editor",
     "Opens $VISUAL or $EDITOR. Nothing changes before you save and close, and a\n"
     "mistake brings you back to the line that has it.\n",
     0, 0, 0, wc_cmd_me_edit},
    {"me set", "FIELD VALUE...", "Set a field of your profile",
     FIELDS_HELP
     "\nAn empty value clears a field; items of a list are parted by commas.\n"
     "With --json and the name of a file (or -), fields are read from a JSON "
     "object.\n\n"
     "--audience says who may see a field: organisation (every office; what is not\n"
     "said), office (people of your office), match (nobody; only a question may\n"
     "meet it) or me. FIELD=WHO, parted by commas; \"skill NAME=WHO\" and\n"
     "\"interest NAME=WHO\" for one of a list; or WHO for all fields that are set.\n"
     "A field keeps its audience until you say otherwise.\n\n"
     "  whocan me set title Head Librarian\n"
     "  whocan me set skills \"content design:expert:mentor, blogging\"\n"
     "  whocan me set team=Web phone=\"+44 113 496 0000\" willing=yes\n"
     "  whocan me set --audience phone=office\n"
     "  whocan me set --json profile.json\n",
     WC_OPT_BIT(WC_OPT_AUDIENCE), 0, -1, wc_cmd_me_set},
    {"me add", "skill|interest NAME...", "Add a skill or an interest",
     "  whocan me add skill content design --level expert --mentor\n"
     "  whocan me add interest local history, cycling\n"
     "  whocan me add skill sign language --audience match\n",
     WC_OPT_BIT(WC_OPT_AUDIENCE) | WC_OPT_BIT(WC_OPT_LEVEL) |
         WC_OPT_BIT(WC_OPT_MENTOR) | WC_OPT_BIT(WC_OPT_LEARN),
     2, -1, wc_cmd_me_add},
    {"me drop", "skill|interest NAME...", "Drop a skill or an interest",
     "  whocan me drop skill blogging\n", 0, 2, -1, wc_cmd_me_drop},
    {"me export", "", "Show everything that is held about you",
     "Your profile, your row in the staff directory, your questions, and what your\n"
     "office knows of your account; with when and by whom. --json and --output give\n"
     "the same for programs, and `whocan me set --json FILE` takes the profile of "
     "such\n"
     "a file over elsewhere.\n",
     WC_OPT_BIT(WC_OPT_OUTPUT), 0, 0, wc_cmd_me_export},
    {"erase", "[HANDLE]", "Be forgotten, in every office",
     "Deletes your profile, your row and your questions, in every office and from\n"
     "their files. An office that is off does it when it returns; --status tells "
     "which\n"
     "have. IT may name somebody of their office: whocan erase alice\n\n"
     "  whocan erase --wait 60\n"
     "  whocan erase --status\n",
     WC_OPT_BIT(WC_OPT_YES) | WC_OPT_BIT(WC_OPT_WAIT) | WC_OPT_BIT(WC_OPT_STATUS), 0, 1,
     wc_cmd_erase},
    {"me confirm", "", "Sign and publish what waits for your word",
     "A change that was made for you on the intranet waits here once you have a key,\n"
     "which your first edit makes. Shows it, asks, and publishes it under your\n"
     "signature. With nothing waiting it signs a profile that your office signed for\n"
     "you until now.\n",
     0, 0, 0, wc_cmd_me_confirm},
    {"me reject", "", "Drop the change that waits for your word", "", 0, 0, 0,
     wc_cmd_me_reject},
    {"offices", "", "List the offices and how they are linked",
     "This office first, then those that it has a link to. HEARD is when something\n"
     "of an office came last, by whomever; FAR is how many links away it is, and\n"
     "which neighbour brought the latest of it, as far as that is known.\n",
     0, 0, 0, wc_cmd_offices},
    {"status", "", "Show how this office's daemon is doing",
     "Warnings first. --links adds every link: whether what is new goes there whole\n"
     "(eager) or by its id (lazy), its round trip, what waits, what was left out.\n",
     WC_OPT_BIT(WC_OPT_LINKS), 0, 0, wc_cmd_status},
    {"watch", "", "Show what happens, as it happens, until Ctrl-C",
     "Offices that come, links that open and close and why, records taken and\n"
     "refused, questions that pass, reconciliations. For administrators. Nothing of\n"
     "a profile or a question is in it. With --json each event is a line.\n",
     0, 0, 0, wc_cmd_watch},
    {"metrics", "", "Print numbers for monitoring",
     "In the text format of Prometheus; docs/operations.md lists them.\n", 0, 0, 0,
     wc_cmd_metrics},
    {"doctor", "", "Check that records and search index are right",
     "For administrators. Looks at what the daemon holds while it goes on working:\n"
     "that records are as they were stored, that the search index is as it was\n"
     "written, and that both say the same. What it finds wrong in the index it mends,\n"
     "by building it anew. --full looks at every signature and everybody's words,\n"
     "which takes a minute or two for 100,000 people. Exit code 1 says that something\n"
     "was found.\n\n"
     "  whocan doctor\n"
     "  whocan doctor --full --json\n"
     "  whocan doctor --rebuild\n\n"
     "Where the daemon does not run: whocand --check-state\n",
     WC_OPT_BIT(WC_OPT_FULL) | WC_OPT_BIT(WC_OPT_REBUILD), 0, 0, wc_cmd_doctor},
    {"import", "FILE|-", "Import people from CSV or JSON lines",
     "The rows are the directory's word on people; what people said of themselves is\n"
     "never touched. A file with a broken structure changes nothing; a row that is\n"
     "wrong is refused alone and listed with its line and reason. Exit code 1 says\n"
     "that rows were refused.\n\n"
     "CSV starts with a row of column names: handle (or login), name, title, team,\n"
     "skills, interests, ask_me_about, languages, working_days, email, phone,\n"
     "willing. Skills and interests are parted by ; or |, and a skill may carry\n"
     "words: \"content design:expert:mentor;blogging\".\n\n"
     "With --complete the file is the whole directory: rows of this office that it\n"
     "lacks are retired. It asks first when they are many.\n",
     WC_OPT_BIT(WC_OPT_COMPLETE) | WC_OPT_BIT(WC_OPT_YES) | WC_OPT_BIT(WC_OPT_FORMAT) |
         WC_OPT_BIT(WC_OPT_DRY_RUN) | WC_OPT_BIT(WC_OPT_QUIET) |
         WC_OPT_BIT(WC_OPT_VERBOSE),
     1, 1, wc_cmd_import},
    {"export", "", "Export people as JSON lines or CSV",
     "Prints the rows of this office, or of --office or --all. What it prints can be\n"
     "imported again. --about HANDLE shows all that is held about one person of this\n"
     "office, for IT.\n",
     WC_OPT_BIT(WC_OPT_ABOUT) | WC_OPT_BIT(WC_OPT_OFFICE) | WC_OPT_BIT(WC_OPT_ALL) |
         WC_OPT_BIT(WC_OPT_FORMAT) | WC_OPT_BIT(WC_OPT_OUTPUT),
     0, 0, wc_cmd_export},
    {"skills", "[BEGINNING...]", "List skills, what most people have first",
     "With how many people have each. With a beginning: the skills whose name, or\n"
     "another name of theirs in the vocabulary, goes on so; also those that nobody\n"
     "has.\n\n"
     "  whocan skills --limit 20\n"
     "  whocan skills info\n",
     WC_OPT_BIT(WC_OPT_LIMIT), 0, -1, wc_cmd_skills},
    {"vocabulary list", "[WORD...]", "List the vocabularies, or concepts by a word",
     "What this office's daemon has read: each vocabulary with its counts, or, with\n"
     "words, the concepts that have a label with all of them.\n\n"
     "  whocan vocabulary list\n"
     "  whocan vocabulary list security --limit 5\n",
     WC_OPT_BIT(WC_OPT_LIMIT), 0, -1, wc_cmd_vocabulary_list},
    {"vocabulary export", "ID", "Print one vocabulary as a file",
     "As the vocabulary file that it came from, in one form for all, or as JSON.\n\n"
     "  whocan vocabulary export web --output web.ini\n",
     WC_OPT_BIT(WC_OPT_OUTPUT), 1, 1, wc_cmd_vocabulary_export},
    {"vocabulary check", "FILE|DIRECTORY...", "Check vocabulary files",
     "Needs no daemon. Names every fault with its file and line. Files that name\n"
     "concepts of each other are checked together. Exit code 2: the daemon would not\n"
     "read them; 1: it would, but two concepts share a label, which may be meant.\n\n"
     "  whocan vocabulary check /usr/share/whocan/vocabulary ours.ini\n",
     0, 1, -1, wc_cmd_vocabulary_check},
    {"vocabulary import", "FILE...", "Make a vocabulary out of published tables",
     "Reads the CSV files that the European Commission publishes of ESCO's skills,\n"
     "one or several, or those of the UK Government's Digital and Data framework, and\n"
     "writes one vocabulary file: to --output, or, as root, to\n"
     "/etc/whocan/vocabulary. The language of ESCO's labels is taken from the end of\n"
     "a name (skills_en.csv), or from --language; files of two languages make one\n"
     "vocabulary with both.\n\n"
     "  whocan vocabulary import digitalSkillsCollection_en.csv\n"
     "  whocan vocabulary import skills_en.csv skills_no.csv --output esco.ini\n",
     WC_OPT_BIT(WC_OPT_NAME) | WC_OPT_BIT(WC_OPT_LANGUAGE) | WC_OPT_BIT(WC_OPT_OUTPUT) |
         WC_OPT_BIT(WC_OPT_YES),
     1, -1, wc_cmd_vocabulary_import},
    {"audit", "[FILE...]", "Show who did what to this office",
     "For administrators. What people wrote never stands in it. With --verify it says\n"
     "whether the log is as it was written, and names the first line that is not;\n"
     "with the names of its files, in order, that needs no daemon. Exit code 1 says\n"
     "that the log is broken.\n\n"
     "  whocan audit --since 7d --about alice\n"
     "  whocan audit --verify\n",
     WC_OPT_BIT(WC_OPT_VERIFY) | WC_OPT_BIT(WC_OPT_SINCE) | WC_OPT_BIT(WC_OPT_ABOUT), 0,
     -1, wc_cmd_audit},
    {"office show", "", "Show this office's certificate", "", 0, 0, 0,
     wc_cmd_office_show},
    {"office join", "LINE|-", "Join an organisation",
     "The line is an invitation (`whocan org invite`), or the admission that answers\n"
     "this office's own request (`whocan org admit`). An invitation is a secret:\n"
     "better from a file or - (standard input) than in the command itself, where\n"
     "others on the machine can see it. Everybody who is here comes along.\n\n"
     "  whocan office join --file leeds.invite\n",
     WC_OPT_BIT(WC_OPT_FILE), 0, 1, wc_cmd_office_join},
    {"office request", "", "Ask to be admitted to an organisation",
     "Prints one line for whoever keeps the organisation's key; it is no secret, and\n"
     "no secret key leaves this machine. What comes back is for `office join`. The\n"
     "office keeps its keys and its people.\n\n"
     "  whocan office request --name leeds --title \"Leeds Civic Hall\"\n",
     WC_OPT_BIT(WC_OPT_NAME) | WC_OPT_BIT(WC_OPT_TITLE), 0, 0, wc_cmd_office_request},
    {"office leave", "", "Leave the organisation, and stand alone",
     "The people of this office stay, signed anew by it, and are found nowhere else:\n"
     "linked offices are told at once, and tell the others. What is here of other\n"
     "offices is deleted. It asks first. To join again takes a new invitation, or a\n"
     "request.\n",
     WC_OPT_BIT(WC_OPT_YES), 0, 0, wc_cmd_office_leave},
    {"org show", "", "Show the organisation",
     "With --key, what the organisation's key file says; else what this office\n"
     "knows.\n",
     WC_OPT_BIT(WC_OPT_KEY), 0, 0, wc_cmd_org_show},
    {"org create", "NAME", "Create an organisation and its key file",
     "The key file admits offices. Keep it offline, on a medium of its own, and its\n"
     "passphrase somewhere else. No daemon is needed.\n\n"
     "  whocan org create \"Borough Council\" --key council.key\n",
     WC_OPT_BIT(WC_OPT_KEY) | WC_OPT_BIT(WC_OPT_PASSPHRASE_FILE), 1, -1,
     wc_cmd_org_create},
    {"org invite", "OFFICE", "Print an invitation for an office",
     "Prints one line. Bring it to the office on a way that you trust: whoever reads\n"
     "it is that office. There: whocan office join --file leeds.invite\n\n"
     "  whocan org invite leeds --title \"Leeds Civic Hall\" --key council.key\n",
     WC_OPT_BIT(WC_OPT_KEY) | WC_OPT_BIT(WC_OPT_PASSPHRASE_FILE) |
         WC_OPT_BIT(WC_OPT_TITLE) | WC_OPT_BIT(WC_OPT_QUOTA) | WC_OPT_BIT(WC_OPT_DAYS),
     1, 1, wc_cmd_org_invite},
    {"org admit", "REQUEST|-", "Admit an office that asked for it",
     "REQUEST is the line that `whocan office request` printed there. Compare the key\n"
     "that is shown with the one that was shown there: whoever sent another line\n"
     "would be admitted in its place. Prints one line that only that office can use;\n"
     "there: whocan office join LINE\n",
     WC_OPT_BIT(WC_OPT_KEY) | WC_OPT_BIT(WC_OPT_PASSPHRASE_FILE) |
         WC_OPT_BIT(WC_OPT_FILE) | WC_OPT_BIT(WC_OPT_NAME) | WC_OPT_BIT(WC_OPT_TITLE) |
         WC_OPT_BIT(WC_OPT_QUOTA) | WC_OPT_BIT(WC_OPT_DAYS),
     0, 1, wc_cmd_org_admit},
    {"org list", "", "List the offices that the key file knows",
     "No passphrase is needed. States: current; replaced by a newer certificate;\n"
     "revoked; expired.\n\n"
     "  whocan org list --key council.key\n",
     WC_OPT_BIT(WC_OPT_KEY), 0, 0, wc_cmd_org_list},
    {"org revoke", "OFFICE|KEY", "Put an office out of the organisation",
     "For a machine that was lost or stolen, or an office that is closed. Signs that\n"
     "all keys of the office (or the one key that is given, in hexadecimal) are no\n"
     "longer believed, for ever, and hands that to the daemon here; without one, or\n"
     "with --print, it prints a line for `whocan org publish`. To set the office up\n"
     "anew, invite it again: it gets new keys.\n\n"
     "  whocan org revoke leeds --key council.key\n",
     WC_OPT_BIT(WC_OPT_KEY) | WC_OPT_BIT(WC_OPT_PASSPHRASE_FILE) |
         WC_OPT_BIT(WC_OPT_PRINT),
     1, 1, wc_cmd_org_revoke},
    {"org renew", "OFFICE...", "Give offices certificates with new dates",
     "Nobody goes to the offices: they take the new certificates from the daemon "
     "here,\n"
     "or from the one that gets what is printed. Their keys and people stay.\n\n"
     "  whocan org renew leeds --days 730 --key council.key\n"
     "  whocan org renew --all --key council.key\n",
     WC_OPT_BIT(WC_OPT_KEY) | WC_OPT_BIT(WC_OPT_PASSPHRASE_FILE) |
         WC_OPT_BIT(WC_OPT_ALL) | WC_OPT_BIT(WC_OPT_QUOTA) | WC_OPT_BIT(WC_OPT_DAYS) |
         WC_OPT_BIT(WC_OPT_PRINT),
     0, -1, wc_cmd_org_renew},
    {"org rotate", "", "Give the organisation another key",
     "When the key file or its passphrase is lost, or somebody else may have it. The\n"
     "recovery line of `whocan org create` signs for the new key; every office that\n"
     "the former key file (--key; no passphrase is needed) or the daemon here\n"
     "(--from-daemon) knows gets a certificate by it. Nobody goes to the offices, and\n"
     "what the former key signed is not believed any more.\n\n"
     "  whocan org rotate --recovery council.recovery --key council.key \\\n"
     "      --output council-2.key\n",
     WC_OPT_BIT(WC_OPT_KEY) | WC_OPT_BIT(WC_OPT_PASSPHRASE_FILE) |
         WC_OPT_BIT(WC_OPT_RECOVERY) | WC_OPT_BIT(WC_OPT_FROM_DAEMON) |
         WC_OPT_BIT(WC_OPT_OUTPUT) | WC_OPT_BIT(WC_OPT_PRINT),
     0, 0, wc_cmd_org_rotate},
    {"org publish", "LINE|-", "Publish what the organisation signed",
     "The line is one that `whocan org revoke` or `whocan org renew` printed where no\n"
     "daemon of the organisation answered; a file may hold several. Any office will\n"
     "do: it tells all others. The line is no secret.\n\n"
     "  whocan org publish whocan-statement-1:kgGR...\n"
     "  whocan org publish --file council-2.key.statements\n",
     WC_OPT_BIT(WC_OPT_FILE), 0, 1, wc_cmd_org_publish},
    {"relay", "", "Pass bytes to the daemon, for --host",
     "What `whocan --host HOST` runs on that machine, by ssh.\n", 0, 0, 0,
     wc_cmd_relay},
    {NULL, NULL, NULL, NULL, 0, 0, 0, NULL},
};

static int print_help(struct wc_run *run)
{
    struct wc_buf text = {0};
    if (run->args->command != NULL && run->args->group == NULL)
        wc_args_help(&text, run->args->command);
    else if (run->args->group != NULL)
        wc_args_help_group(&text, run->args->group);
    else
        wc_args_help_all(&text, wc_commands);
    int rc = wc_run_write(run, &text);
    wc_buf_fini(&text);
    return rc;
}

static int print_version(struct wc_run *run)
{
    struct wc_buf text = {0};
    wc_buf_text(&text, "whocan " WHOCAN_VERSION "\n");
    int rc = wc_run_write(run, &text);
    wc_buf_fini(&text);
    return rc;
}

static int dispatch(struct wc_run *run)
{
    const struct wc_args *args = run->args;
    if (args->value[WC_OPT_HELP] != NULL)
        return print_help(run);
    if (args->value[WC_OPT_VERSION] != NULL)
        return print_version(run);
    if (args->command == NULL) {
        wc_run_fail(run, WC_EXIT_USAGE, "what shall it do?");
        wc_run_hint(run, "`whocan find QUERY` finds people, `whocan --help` lists "
                         "everything.");
        return WC_EXIT_USAGE;
    }
    return args->command->run(run);
}

int wc_cli_main(int argc, char **argv)
{
    struct wc_args args = {0};
    struct wc_run run;
    char why[512] = "";
    int skip = argc > 0 ? 1 : 0;
    if (wc_run_occupy_standard() != 0)
        return WC_EXIT_FILE; /* there may be nowhere to say so */
    int rc =
        wc_args_parse(argc - skip, argv + skip, wc_commands, &args, why, sizeof(why));
    wc_run_init(&run, &args);
    int code = rc != 0 ? wc_run_fail(&run, WC_EXIT_USAGE, "%s", why) : dispatch(&run);
    wc_run_fini(&run);
    return code;
}
