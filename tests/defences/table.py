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

    # a member office that lies
    Defence("T10", "signatures of records", "proto/node_records.c",
            "int bad = verify(node, in);", "int bad = 0 * verify(node, in);", "test_node"),
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
    Defence("T15", "over the quota the smallest slots stay", "proto/node_records.c",
            "memcmp(in->slot, last.key, WC_DIGEST_BYTES) > 0)", "false)", "test_node_blame"),
    Defence("T17", "an answer names its own people", "proto/node_ask.c",
            "if ((rc = check_answer(node, office, &answer)) != 0) {", "if (false) {", "test_node_blame"),
    Defence("T17", "an answer's signature", "proto/node_ask.c",
            "if ((rc = wc_answer_verify(in->sig, answer.office_key, in->body)) != 0)", "if (false)", "test_node_ask"),

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
    Defence("T24", "the process is not dumpable", "daemon/main.c",
            "prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)", "false)", "test_daemon.py Memory"),

    # accounts of the same machine
    Defence("T30", "reading is for whom access lets in", "daemon/methods.c",
            "return caller->may_read;", "return true;", "test_socket.py Access"),
    Defence("T30", "administration is for administrators", "daemon/methods.c",
            "return caller->may_admin;", "return true;", "test_socket.py Access"),
    Defence("T32", "acting for others needs leave", "daemon/access.c",
            "if (intranet->is_intranet && rules->intranet_acts)", "if (true)", "test_access"),

    # people
    Defence("T46", "the author's signature", "proto/record.c",
            "rc = wc_body_verify(r->author_sig, r->kind, r->body, r->author_key);", "rc = 0;", "test_record"),
    Defence("T40", "the records are written anew", "daemon/engine.c",
            "e->erase_rc = wc_records_compact(e->config.records);", "e->erase_rc = 0;", "test_erase.py Erasing"),
    Defence("T40", "the index is written anew", "daemon/engine.c",
            "e->erase_rc = wc_index_compact(e->config.index);", "e->erase_rc = 0;", "test_erase.py Erasing"),
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
]
