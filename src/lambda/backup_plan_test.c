/* backup_plan_test.c - the table of docs/infra/backup.md, row by row. */
#include "lambda/backup_plan.h"
#include "test/lib/test.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 5, BACKUPS = 8, HOUR_S = 3600, FIRST_LETTER = 'a' };

struct row {
    struct backup_facts facts;
    struct backup_policy policy;
    struct backup_seen seen[BACKUPS];
    char letters[BACKUPS];
};

static int index_of(const char *word, const char *const *words)
{
    for (int i = 0; words[i] != NULL; i++)
        if (strcmp(words[i], word) == 0)
            return i;
    return -1;
}

static void trim(char *cell)
{
    size_t len = strlen(cell);
    while (len > 0 && cell[len - 1] == ' ')
        cell[--len] = '\0';
    memmove(cell, cell + strspn(cell, " "), len - strspn(cell, " ") + 1);
}

static bool read_task(struct row *row, char *cell)
{
    static const char *const tasks[] = { "backup", "restore-test", "look", "final", NULL };
    char *rest = NULL, *word = strtok_r(cell, " ", &rest);
    int task = word != NULL ? index_of(word, tasks) : -1;
    row->policy = (struct backup_policy){ .keep = 3, .retention_s = 30 * 86400, .trial_s_max = 6 * HOUR_S, .final_s_max = 86400,
                                          .wants_final = true };
    row->facts.task = (enum backup_task)task;
    while ((word = strtok_r(NULL, " ", &rest)) != NULL) {
        if (strcmp(word, "keep") != 0 && strcmp(word, "unwanted") != 0)
            return false;
        row->policy.keeps_backups |= strcmp(word, "keep") == 0;
        row->policy.wants_final &= strcmp(word, "unwanted") != 0;
    }
    return task >= 0;
}

static bool read_backup(struct row *row, char *text)
{
    static const char *const states[] = { "making", "completed", "failed", "going", NULL };
    char letter, state[16], more[2][16] = { "", "" };
    int hours;
    if (sscanf(text, " %c %15s %d %15s %15s", &letter, state, &hours, more[0], more[1]) < 3 || row->facts.count == BACKUPS)
        return false;
    struct backup_seen *seen = &row->seen[row->facts.count];
    *seen = (struct backup_seen){ .state = (enum backup_state)index_of(state, states), .owner = BACKUP_OURS, .age_s = hours * HOUR_S };
    for (int i = 0; i < 2; i++) {
        if (strcmp(more[i], "other") == 0)
            seen->owner = BACKUP_OTHERS;
        else if (strcmp(more[i], "final") == 0)
            seen->owner = BACKUP_FINAL;
        else if (strcmp(more[i], "tested") == 0)
            seen->is_tested = true;
        else if (more[i][0] != '\0')
            return false;
    }
    row->letters[row->facts.count++] = letter;
    return index_of(state, states) >= 0;
}

static bool read_backups(struct row *row, char *cell)
{
    char *rest = NULL;
    for (char *part = strtok_r(cell, ",", &rest); part != NULL; part = strtok_r(NULL, ",", &rest))
        if (!read_backup(row, part))
            return false;
    row->facts.backups = row->seen;
    return true;
}

static bool read_trial(struct row *row, const char *cell)
{
    static const char *const words[] = { "none", "foreign", "making", "ready", "broken", "going", NULL };
    char word[16];
    int hours = 0;
    if (sscanf(cell, "%15s %d", word, &hours) < 1 || index_of(word, words) < 0)
        return false;
    row->facts.trial = (enum backup_trial)index_of(word, words);
    row->facts.trial_age_s = hours * HOUR_S;
    return true;
}

/* As the last column says it. */
static void print(const struct row *row, const struct backup_decision *d, char *out, size_t cap)
{
    char list[64] = "";
    size_t len = 0;
    for (char letter = FIRST_LETTER; letter < FIRST_LETTER + BACKUPS; letter++)
        for (size_t i = 0; i < row->facts.count; i++)
            if (row->letters[i] == letter && d->drops[i])
                len += (size_t)snprintf(list + len, sizeof list - len, " %c", letter);
    int n = snprintf(out, cap, "%s", backup_step_name(d->step));
    if ((d->step == BACKUP_RESTORE || d->step == BACKUP_DONE) && d->of < row->facts.count)
        n += snprintf(out + n, cap - (size_t)n, " %c", row->letters[d->of]);
    if (list[0] != '\0')
        (void)snprintf(out + n, cap - (size_t)n, " drops%s", list);
}

static void run_row(char *cells[COLUMNS], const char *line)
{
    static const char *const sources[] = { "available", "busy", "lost", "gone", NULL };
    struct row row = { 0 };
    struct backup_decision decision;
    char said[128];
    AF_CHECK(read_task(&row, cells[0]) && read_backups(&row, cells[2]) && read_trial(&row, cells[3]) && index_of(cells[1], sources) >= 0);
    row.facts.source = (enum backup_source)index_of(cells[1], sources);
    backup_decide(&row.policy, &row.facts, &decision);
    print(&row, &decision, said, sizeof said);
    if (strcmp(said, cells[4]) != 0 || decision.why == NULL)
        af_test_failed(__FILE__, __LINE__, "%s\n  got %s: %s", line, said, decision.why != NULL ? decision.why : "without a reason");
}

AF_TEST(the_table_of_the_documentation_is_what_is_done_about_backups)
{
    FILE *page = fopen("docs/infra/backup.md", "r");
    char line[512], copy[512];
    int rows = 0;
    bool is_table = false;
    AF_CHECK(page != NULL);
    while (fgets(line, sizeof line, page) != NULL) {
        char *cells[COLUMNS];
        line[strcspn(line, "\n")] = '\0';
        memcpy(copy, line, sizeof copy);
        is_table = (is_table && line[0] == '|') || strncmp(line, "| task", 6) == 0;
        if (!is_table || strncmp(line, "| task", 6) == 0 || strncmp(line, "|---", 4) == 0)
            continue;
        char *at = line + 1;
        for (size_t i = 0; i < COLUMNS; i++) {
            cells[i] = at;
            at = strchr(at, '|');
            AF_CHECK(at != NULL);
            *at++ = '\0';
            trim(cells[i]);
        }
        run_row(cells, copy);
        rows++;
    }
    (void)fclose(page);
    AF_CHECK(rows >= 57);
}

AF_TEST(failures_since_the_newest_whole_backup_count)
{
    struct backup_seen seen[] = { { BACKUP_FAILED, BACKUP_OURS, 1, false }, { BACKUP_COMPLETED, BACKUP_OTHERS, 5, false },
                                  { BACKUP_FAILED, BACKUP_FINAL, 4, false }, { BACKUP_FAILED, BACKUP_OURS, 6, false },
                                  { BACKUP_FAILED, BACKUP_OTHERS, 1, false } };
    struct backup_facts facts = { .backups = seen, .count = 5 };
    AF_CHECK_INT((long long)backup_failures(&facts), 2);
    AF_CHECK_INT((long long)backup_newest(&facts), 1);
    seen[1].state = BACKUP_GOING;
    AF_CHECK_INT((long long)backup_failures(&facts), 3);
    AF_CHECK_INT((long long)backup_newest(&facts), 5);
}
