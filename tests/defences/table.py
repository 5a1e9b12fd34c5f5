# SPDX-License-Identifier: Apache-2.0
"""The defences of docs/threat-model.md: where each stands in the code, and the test that misses it.

`code` is replaced with `without`; `test` is a unit test program, or "test_file.py Class.test" of
tests/integration.
"""
import collections

Defence = collections.namedtuple("Defence", "threat what file code without test")

DEFENCES = [
    # the network
    Defence("T1", "the MAC of message 1", "proto/link.c",
            "if (!wc_equal(mac, message.data + WC_KEY_BYTES, MAC_BYTES))", "if (false)", "test_link"),
    Defence("T2", "the certificate is for the key that speaks", "proto/link.c",
            "if (!wc_equal(link->peer.link_key, link->noise.rs, WC_KEY_BYTES))", "if (false)", "test_link"),
    Defence("T2", "the certificate's dates", "proto/link.c",
            "rc = wc_cert_dates(&link->peer, now_ms);", "rc = 0;", "test_link"),
    Defence("T2", "the organisation's signature on a certificate", "proto/cert.c",
            "if (wc_verify(sig, org->key, CERT_DOMAIN, CERT_KIND, body) != 0)", "if (false)", "test_link_attacks"),
    Defence("T3", "the certificate's organisation", "proto/cert.c",
            "if (memcmp(cert.org_id, org->id, WC_ORG_ID_BYTES) != 0)", "if (false)", "test_cert"),
    Defence("T4", "versions are what both speak", "proto/link.c",
            "if (max < link->tuning.version_min || min > link->tuning.version_max)", "if (false)", "test_link"),
    Defence("T4", "what is sealed is opened only whole", "proto/crypto.c",
            "    return rc == 0 ? 0 : -WC_EBADSIG;\n}\n\n/* ---- passphrases", "    (void)rc;\n    return 0;\n}\n\n"
            "/* ---- passphrases", "test_link"),
    Defence("T5", "two rekeyings in a row", "proto/link.c",
            "if (link->receive_rekeyed)", "if (false)", "test_link"),
    Defence("T6", "strangers are bounded", "daemon/transport_accept.c",
            "if (t->stats.strangers_count >= WC_STRANGERS_MAX_COUNT)", "if (false)", "test_transport"),
    Defence("T6", "handshakes are bounded", "daemon/transport_conn.c",
            "c->t->stats.handshakes_count >= WC_HANDSHAKES_MAX_COUNT) {", "false) {", "test_transport"),
    Defence("T6", "four handshakes for each source", "daemon/transport_accept.c",
            "if (count >= WC_HANDSHAKES_ADDR_COUNT) {", "if (false) {", "test_transport"),
    Defence("T7", "objects are counted before there is memory for them", "proto/pack.c",
            "if (s->nodes + *children > limits->nodes_max)", "if (false)", "test_pack"),
    Defence("T7", "depth", "proto/pack.c", "if (s->depth == limits->depth_max)", "if (false)", "test_pack"),
    Defence("T8", "what passes is sealed", "proto/crypto.c",
            """    int rc = crypto_aead_chacha20poly1305_ietf_encrypt(
        out, NULL, plain.data, plain.len, ad.data, ad.len, NULL, npub, key);
    assert(rc == 0);
}
""", """    memmove(out, plain.data, plain.len);
    memset(out + plain.len, 0, WC_AEAD_TAG_BYTES);
    (void)ad;
    (void)key;
}

static int crypto_aead_without(uint8_t *out, const uint8_t *in, size_t len)
{
    memmove(out, in, len - WC_AEAD_TAG_BYTES);
    return 0;
}
#define crypto_aead_chacha20poly1305_ietf_decrypt(out, a, b, in, len, c, d, e, f) \\
    ((void)(c), (void)(d), (void)(e), (void)(f), crypto_aead_without((out), (in), (len)))
""", "test_leaks.py Leaks.test_nothing_can_be_read_on_the_way"),

    # a member office that lies
    Defence("T10", "signatures of records", "proto/node_records.c",
            "int bad = verify(node, in);\n    if (bad != 0) {", "int bad = 0 * verify(node, in);\n    if (bad != 0) {", "test_node"),
    Defence("T10", "the stamp's signature", "proto/record.c",
            "rc = wc_verify(r->stamp_sig, r->office_key, STAMP_DOMAIN, r->kind, r->stamp);", "rc = 0;", "test_record"),
    Defence("T10", "body and stamp are of one office", "proto/record.c",
            "if (memcmp(office_key, r->office_key, WC_KEY_BYTES) != 0 ||\n        strcmp(subject", "if (strcmp(subject",
            "test_record"),
    Defence("T10", "the stamp is of this content", "proto/record.c",
            "if (memcmp(digest, r->version.digest, WC_DIGEST_BYTES) != 0)", "if (false)", "test_record"),
    Defence("T11", "the author of rows, cards and retirements", "proto/record.c",
            "if (by_office && memcmp(r->author_key, r->office_key, WC_KEY_BYTES) != 0)", "if (false)", "test_node"),
    Defence("T12", "a card's certificate is for its own key", "proto/node_offices.c",
            "if (rc == 0 && memcmp(cert->sign_key, r->office_key, WC_KEY_BYTES) != 0)", "if (false)", "test_node"),
    Defence("T13", "stamps of the future", "proto/record.c",
            "if (r->stamped_at_ms > now_ms && r->stamped_at_ms - now_ms > WC_FUTURE_SLACK_MS)", "if (false)",
            "test_node"),
    Defence("T13", "leases without end", "proto/record.c",
            "r->expires_at_ms - r->stamped_at_ms > wc_kind_lease_max_ms(r->kind))", "false)", "test_record"),
    Defence("T13", "a lease ends with the certificate", "proto/node_records.c",
            "if (in->r.expires_at_ms > not_after_ms) {", "if (false) {", "test_node"),
    Defence("T14", "two contents are kept as evidence", "proto/node_blame.c",
            "        if (same_contradiction(node->evidence[i], e))\n            return false;",
            "        if (!same_contradiction(node->evidence[i], e) || i == 0)\n            return false;",
            "test_node_blame"),
    Defence("T15", "over the quota the smallest slots stay", "proto/node_records.c",
            "memcmp(in->slot, last.key, WC_DIGEST_BYTES) > 0)", "false)", "test_node_blame"),
    Defence("T16", "who signed nothing is not blamed", "proto/node_records.c",
            "    int bad = verify(node, in);\n    if (bad != 0) {",
            "    int bad = v == REFUSE ? 0 : verify(node, in);\n    if (bad != 0) {", "test_node_blame"),
    Defence("T17", "an answer names its own people", "proto/node_ask.c",
            "if ((rc = check_answer(node, office, &answer)) != 0) {", "if (false) {", "test_node_blame"),
    Defence("T17", "an answer's signature", "proto/node_ask.c",
            "if ((rc = wc_answer_verify(in->sig, answer.office_key, in->body)) != 0)", "if (false)", "test_node_ask"),
    Defence("T18", "useless bytes of a neighbour have an end", "proto/node_blame.c",
            "    wc_bucket_pour(b, bytes);\n    return wc_bucket_has_room(b, node->mono_ms, WC_WASTE_BRIM_BYTES,",
            "    (void)bytes;\n    return wc_bucket_has_room(b, node->mono_ms, WC_WASTE_BRIM_BYTES,", "test_node_blame"),
    Defence("T19", "the own keys elsewhere", "daemon/engine.c",
            "        wc_twins_own(e->twins, &e->identity->cert, remote_address, wc_mono_ms()))", "        false)",
            "test_offices.py Twins"),

    # keys that got out
    Defence("T20", "a revoked key is not believed", "proto/node_records.c",
            "    if (o->revoked)\n        return -WC_EREVOKED;\n", "", "test_node"),
    Defence("T20", "links to it end", "proto/node_offices.c",
            "    if (peer != NULL)\n        wc_node_close(node, peer, -WC_EREVOKED);\n", "    (void)peer;\n",
            "test_node"),
    Defence("T20", "it does not come back", "proto/node_links.c",
            "    if (node->own_revoked || (office != WC_NONE && node->offices[office]->revoked))\n"
            "        return -WC_EREVOKED;\n", "", "test_node"),
    Defence("T21", "only the organisation makes statements", "proto/record.c",
            "return memcmp(r->author_key, key, WC_KEY_BYTES) == 0 ? 0 : -WC_EDENIED;", "(void)key;\n    return 0;",
            "test_node"),
    Defence("T25", "only the recovery key rotates", "proto/record.c",
            "r->kind == WC_KIND_ROTATE ? org->recovery_key : org->key;", "org->key;", "test_record"),
    Defence("T25", "a former certificate needs a grant for the same keys", "proto/node_trust.c",
            "memcmp(o->cert.link_key, cert->link_key, WC_KEY_BYTES) == 0;", "true;", "test_node_trust"),
    Defence("T25", "a granted certificate is the organisation's", "proto/record.c",
            "rc = wc_cert_open(r->granted, org, &cert, NULL);", "rc = wc_cert_read(r->granted, &cert, NULL);",
            "test_record"),
    Defence("T23", "the register's certificates", "proto/register.c",
            "int rc = wc_cert_open(cert, org, &issued.cert, NULL);",
            "int rc = wc_cert_read(cert, &issued.cert, NULL);\n    (void)org;", "test_register"),
    Defence("T22", "the passphrase of the key file", "proto/crypto.c",
            "text, passphrase.len, salt, ops,", "text, 0, salt, ops,", "test_cert"),
    Defence("T24", "the process is not dumpable", "daemon/main.c",
            "prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)", "false)", "test_daemon.py Memory"),
    Defence("T24", "cores have no room", "daemon/main.c",
            "setrlimit(RLIMIT_CORE, &none) != 0", "none.rlim_cur != 0", "test_daemon.py Memory"),
    Defence("T24", "the command is not dumpable", "cli/main.c",
            "(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);", "", "test_daemon.py Memory"),
    Defence("T26", "a request is signed by its key", "proto/admit.c",
            "if (rc == 0 && wc_verify(sig, r->sign_key, REQUEST_DOMAIN, REQUEST_KIND, body) != 0)", "if (false)",
            "test_admit"),
    Defence("T26", "an admission is sealed with what it says", "proto/admit.c",
            "!wc_equal(plain + WC_SECRET_BYTES, digest, WC_DIGEST_BYTES))", "false)", "test_admit"),

    # accounts of the same machine
    Defence("T30", "reading is for whom access lets in", "daemon/methods.c",
            "return caller->may_read;", "return true;", "test_socket.py Access"),
    Defence("T30", "administration is for administrators", "daemon/methods.c",
            "return caller->may_admin;", "return true;", "test_socket.py Access"),
    Defence("T31", "a login comes from the uid", "daemon/access.c",
            "int rc = read_account(NULL, uid, &account);", "int rc = read_account(\"root\", uid, &account);",
            "test_access"),
    Defence("T32", "acting for others needs leave", "daemon/access.c",
            "if (intranet->is_intranet && rules->intranet_acts)", "if (true)", "test_access"),
    Defence("T33", "accounts take turns", "daemon/fair.c",
            "        user_unlink(f, u);\n        user_link_last(f, u);\n        return item;", "        return item;",
            "test_fair"),
    Defence("T33", "what waits is bounded", "daemon/fair.c",
            "if (too_long || over_bounds(&f->config, u, item)) {",
            "(void)over_bounds;\n    if (too_long) {", "test_fair"),
    Defence("T34", "a host is no option of ssh", "cli/host.c",
            "host[0] != '-' && host[0] != '@' &&\n           name[0] != '-' && ", "", "test_host.py Host"),

    # people
    Defence("T42", "seven days, each counted once", "daemon/leaver.c",
            "if (day > l->last_day && l->absent_days", "if (l->absent_days", "test_leavers"),
    Defence("T42", "a database that could not be asked says nothing", "daemon/leavers.c",
            "        errno = EIO;\n", "        errno = 0;\n", "test_leaving.py"),
    Defence("T42", "too many at once wait", "daemon/leavers.c",
            "f->held = rc != 0 || wc_leavers_are_many(f->missing_count, f->known_count);", "(void)rc;", "test_leavers"),
    Defence("T43", "another uid is another person", "daemon/leaver.c",
            "if (l->seen && l->uid != uid)", "if (false)", "test_leavers"),
    Defence("T44", "a refused row keeps everybody", "cli/cmd_import.c",
            "    if (m->refused_count == 0)\n        return wc_complete(", "    if (m->retired == NULL)\n        return wc_complete(",
            "test_complete.py"),
    Defence("T44", "many need a word", "cli/complete.c",
            "if (count <= ASK_ABOVE_COUNT && count * 100 <= rows * ASK_ABOVE_PERCENT)", "if (count > 0)",
            "test_complete.py"),
    Defence("T45", "what is asked is in no log", "daemon/engine.c",
            'snprintf(m->text, sizeof(m->text), "%s", text);',
            'snprintf(m->text, sizeof(m->text), "%s", text);\n    wc_log(WC_LOG_DEBUG, "an ask: %s", text);',
            "test_leaks.py Leaks.test_a_member_is_told_what_is_for_the_organisation_and_nothing_else"),
    Defence("T49", "what is confirmed is what waits", "daemon/methods_me.c",
            "bool same = rc == 0 && wc_slice_is(id, waiting.id);", "bool same = rc == 0;\n    (void)id;",
            "test_signing.py"),
    Defence("T60", "colleagues see no narrower fields", "daemon/index.c",
            "return own ? WC_AUDIENCE_OFFICE : WC_AUDIENCE_ORGANISATION;",
            "(void)own;\n    return WC_AUDIENCE_ME;", "test_index"),
    Defence("T60", "narrower fields are no part of what is gossiped", "proto/edit.c",
            "    wc_person_merge(p, &times);\n", "    wc_person_merge(p, &times);\n"
            "    wc_parts_join(p, &w.parts, WC_AUDIENCE_ME);\n",
            "test_leaks.py Leaks.test_a_member_is_told_what_is_for_the_organisation_and_nothing_else"),
    Defence("T61", "keys that an office left with are used up", "daemon/methods_office.c",
            "if (wc_office_has_left(d->records, to->signer.key)) {", "if (false) {", "test_leave.py"),
    Defence("T62", "what has ended is not shown", "daemon/people.c",
            "if (shown && !wc_records_shows(r, office_key, record.expires_at_ms))", "if (false)", "test_lease.py"),
    Defence("T62", "a clock that is wrong hides nothing", "daemon/engine.c",
            "wc_records_hide_ended(e->config.records, off ? NULL : e->identity->signer.key,\n"
            "                              wc_wall_ms);",
            "wc_records_hide_ended(e->config.records, e->identity->signer.key, wc_wall_ms);", "test_lease.py"),
    Defence("T46", "the author's signature", "proto/record.c",
            "rc = wc_body_verify(r->author_sig, r->kind, r->body, r->author_key);", "rc = 0;", "test_record"),
    Defence("T40", "the records are written anew", "daemon/engine.c",
            "e->erase_rc = wc_records_compact(e->config.records);", "e->erase_rc = 0;", "test_erase.py Erasing"),
    Defence("T40", "the index is written anew", "daemon/engine.c",
            "e->erase_rc = wc_index_compact(e->config.index);", "e->erase_rc = 0;", "test_erase.py Erasing"),
    Defence("T62", "evidence about somebody who is erased", "proto/node_effects.c",
            "    if (r->erases)\n        wc_node_evidence_erase(node, r);", "", "test_node_blame"),
    Defence("T41", "retirements outlive every lease", "include/whocan/limits.h",
            "(181 * WC_DAY_MS)", "(90 * WC_DAY_MS)", "test_gone"),
    Defence("T47", "a body is for the login of the caller", "daemon/signed_edit.c",
            "if (strcmp(subject, rules->login) != 0)", "if (false)", "test_signed_edit"),
    Defence("T47", "a body is for this office", "daemon/signed_edit.c",
            "if (memcmp(office_key, rules->office_key, WC_KEY_BYTES) != 0)", "if (false)", "test_signed_edit"),
    Defence("T47", "a body is for the next rev", "daemon/signed_edit.c",
            "if (rev != rules->rev)", "if (false)", "test_signed_edit"),
    Defence("T48", "a body says that its key changed", "daemon/signed_edit.c",
            "return check_times(&p, edit, rules, problem);", "(void)check_times;\n    return 0;", "test_signed_edit"),

    # administrators
    Defence("T50", "a line before the act", "daemon/methods.c",
            "    else if (is_act(method))", "    else if (false && is_act(method))", "test_audit_log.py Log"),
    Defence("T51", "each line names the one before", "proto/audit.c",
            "return memcmp(head->hash, hash, WC_DIGEST_BYTES) == 0;", "(void)head;\n    (void)hash;\n    return true;",
            "test_audit"),
    Defence("T52", "people stand in the audit log by a hash", "daemon/audit.c",
            "wc_audit_person(out, a->key, login);", "(void)a;\n    wc_slice_copy(login, out, WC_AUDIT_PERSON_CHARS + 1);",
            "test_audit"),
    Defence("T52", "no line before the key of its hashes is kept", "daemon/audit.c",
            "int rc = a->key_stored ? 0 : store_key(a);", "int rc = 0;\n    (void)store_key;", "test_audit"),
    Defence("T53", "a key that is enrolled is said", "daemon/methods_me.c",
            "    if (e->enrolling.has_key) {", "    if (false) {", "test_signing.py Offices"),
]
