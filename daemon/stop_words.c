/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "daemon/text.h"

/*
 * The words that questions and offers of help are made of, folded and sorted by bytes,
 * English and Norwegian together: a question is rarely in one language only. A query of
 * nothing but these is searched for as it stands, so that "IT help" and "who" find what
 * there is.
 */
/* clang-format off */
static const char *const stop_words[] = {
    "a", "aa", "ability", "able", "about", "across", "advice", "advise", "after",
    "again", "against", "ahead", "all", "alle", "alltid", "already", "also", "alt",
    "although", "always", "am", "an", "and", "andre", "annen", "annet", "another",
    "anvende", "anvender", "anvendt", "any", "anybody", "anyone", "anything", "applied",
    "applies", "apply", "applying", "are", "around", "as", "ask", "asked", "asking",
    "asks", "assist", "assistance", "at", "av", "away", "bare", "be", "became",
    "because", "become", "been", "before", "begin", "beginning", "begun", "begynne",
    "behind", "being", "benytte", "benytter", "benyttet", "ber", "best", "beste",
    "between", "bidra", "bidrar", "bista", "bistand", "ble", "blei", "bli", "blir",
    "bort", "both", "bra", "bruk", "bruke", "bruker", "burde", "but", "by", "came",
    "can", "cannot", "cant", "carried", "carries", "carry", "carrying", "certain",
    "come", "comes", "coming", "complete", "completed", "completes", "completing",
    "conduct", "conducted", "conducting", "conducts", "could", "couldnt", "da", "de",
    "deg", "dei", "dem", "den", "denne", "der", "dere", "deres", "det", "dette", "di",
    "did", "didnt", "different", "din", "disse", "ditt", "do", "does", "doesnt",
    "doing", "done", "dont", "down", "du", "during", "dykk", "dykkar", "each", "eg",
    "ei", "ein", "eit", "either", "ekspert", "eksperter", "eller", "elles", "else",
    "en", "ene", "ensure", "ensured", "ensures", "ensuring", "er", "erfaring", "et",
    "ett", "etter", "ettersom", "ever", "every", "everybody", "everyone", "execute",
    "executed", "executes", "executing", "experience", "experienced", "expert",
    "experts", "explain", "faa", "faar", "few", "find", "finding", "finn", "finne",
    "finner", "finnes", "for", "fordi", "found", "fra", "fram", "frem", "from", "gaa",
    "gaar", "gave", "get", "gets", "getting", "gi", "gir", "give", "given", "gives",
    "giving", "gjelder", "gjennom", "gjennomfore", "gjor", "gjorde", "gjore", "gjort",
    "go", "god", "gode", "godt", "goes", "going", "gone", "good", "got", "great", "ha",
    "haandtere", "haandterer", "had", "hadde", "han", "handle", "handled", "handles",
    "handling", "handtere", "handterer", "happy", "har", "has", "have", "havent",
    "having", "he", "hei", "heller", "hello", "help", "helped", "helpful", "helping",
    "helps", "henne", "hennes", "her", "here", "hers", "hi", "him", "his", "hit",
    "hjelp", "hjelpe", "hjelpen", "hjelper", "ho", "hos", "how", "hun", "hva", "hvem",
    "hver", "hverandre", "hvert", "hvilke", "hvilken", "hvilket", "hvis", "hvor",
    "hvordan", "hvorfor", "i", "id", "idea", "ideas", "if", "igjen", "ikke", "ikkje",
    "ill", "im", "imot", "implement", "implemented", "implementing", "implements", "in",
    "ingen", "ingenting", "inn", "innen", "innom", "into", "is", "isnt", "it", "its",
    "ive", "ja", "jeg", "just", "kan", "kanskje", "keen", "keep", "kindly", "kjenner",
    "kjent", "knew", "know", "knowing", "known", "knows", "kom", "komme", "kommer",
    "kunne", "kunnskap", "lage", "lager", "lete", "leter", "lets", "like", "liked",
    "likes", "litt", "little", "look", "looking", "looks", "lot", "lurer", "maa",
    "made", "make", "makes", "making", "mange", "many", "may", "maybe", "me", "med",
    "meg", "meget", "mellom", "men", "mens", "mer", "mest", "mi", "might", "min",
    "mine", "mitt", "more", "most", "mot", "much", "must", "my", "mye", "myself", "na",
    "naa", "naar", "nar", "near", "need", "needed", "needing", "needs", "never", "new",
    "next", "no", "nobody", "noe", "noen", "noko", "nokon", "nokre", "none", "nor",
    "not", "nothing", "now", "ny", "nye", "nytt", "oensker", "of", "off", "often", "og",
    "ogsa", "ogsaa", "ok", "om", "omkring", "on", "once", "one", "ones", "only",
    "onske", "onsker", "onto", "opp", "or", "oss", "other", "others", "our", "ours",
    "out", "over", "own", "pa", "paa", "particular", "people", "perform", "performed",
    "performing", "performs", "perhaps", "person", "personer", "please", "possible",
    "possibly", "provide", "provided", "provides", "providing", "put", "question",
    "questions", "quite", "rather", "really", "sa", "saa", "said", "same", "samme",
    "samt", "say", "see", "seeking", "seen", "seg", "selv", "set", "several", "shall",
    "she", "should", "show", "si", "siden", "sin", "since", "sine", "sitt", "skal",
    "skulle", "slik", "slike", "snakke", "snakker", "so", "soke", "soker", "sokjer",
    "solve", "solved", "solves", "solving", "som", "some", "somebody", "somehow",
    "someone", "something", "sometimes", "somewhere", "soon", "sorge", "sorger", "sort",
    "speak", "speaks", "specific", "spoken", "spore", "sporsmal", "start", "starte",
    "started", "starter", "startet", "starting", "starts", "still", "such", "suggest",
    "suggestions", "sure", "svar", "svare", "take", "takes", "taking", "takk", "tell",
    "than", "thank", "thanks", "that", "thats", "the", "their", "them", "then", "there",
    "theres", "these", "they", "thing", "things", "think", "this", "those", "though",
    "through", "til", "tilbake", "to", "today", "together", "told", "too", "toward",
    "towards", "trenge", "trenger", "trengs", "trengte", "tried", "try", "trying",
    "under", "understand", "undertake", "undertaken", "undertakes", "undertaking",
    "undertook", "until", "up", "upon", "us", "use", "used", "useful", "uses", "using",
    "ut", "uten", "utfore", "utforer", "utfores", "utfort", "utilise", "utilised",
    "utilises", "utilising", "utilize", "utilized", "utilizes", "utilizing", "vaar",
    "vaere", "vaert", "var", "vare", "various", "vart", "ved", "veit", "vel", "very",
    "vet", "vi", "via", "vil", "ville", "vite", "vore", "want", "wanted", "wanting",
    "wants", "was", "way", "ways", "we", "well", "went", "were", "weve", "what",
    "whats", "when", "where", "whether", "which", "while", "who", "whoever", "whole",
    "whom", "whos", "whose", "why", "will", "willing", "wish", "with", "within",
    "without", "wonder", "wondering", "wont", "worked", "would", "wouldnt", "yes",
    "yet", "you", "your", "yours", NULL,
};
/* clang-format on */

static int compare(const void *key, const void *entry)
{
    const struct wc_slice *word = key;
    return wc_slice_cmp(*word, wc_slice_text(*(const char *const *)entry));
}

bool wc_text_is_stop(struct wc_slice word)
{
    return bsearch(&word, stop_words, sizeof(stop_words) / sizeof(stop_words[0]) - 1,
                   sizeof(stop_words[0]), compare) != NULL;
}

const char *const *wc_text_stops(void)
{
    return stop_words;
}
