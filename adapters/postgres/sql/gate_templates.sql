-- Templates of gates. A project of null is asked for by what is global, and finds nothing else.

-- name: name
-- $1 id, $2 project or null, $3 name, $4 created
INSERT INTO gate_templates (id, project_id, name, created_at)
VALUES ($1, $2, $3, $4)
ON CONFLICT DO NOTHING

-- name: lock
-- $1 project or null, $2 name
SELECT id, retired_at
FROM gate_templates
WHERE (project_id = $1 OR (project_id IS NULL AND $1::uuid IS NULL)) AND name = $2
FOR UPDATE

-- name: add_version
-- $1 project or null, $2 template, $3 version, $4 description, $5 arguments, $6 gates, $7 created
INSERT INTO gate_template_versions (
    project_id, gate_template_id, version, description, arguments, gates, created_at
)
VALUES ($1, $2, $3, $4, $5, $6, $7)

-- name: version
-- $1 project or null, $2 name, $3 version, or null for the latest
SELECT t.id, t.project_id, t.name, v.version, v.description, v.arguments, v.gates,
    v.created_at, t.retired_at
FROM gate_templates AS t
JOIN gate_template_versions AS v ON v.gate_template_id = t.id
WHERE (t.project_id = $1 OR (t.project_id IS NULL AND $1::uuid IS NULL)) AND t.name = $2
    AND ($3::integer IS NULL OR v.version = $3)
ORDER BY v.version DESC
LIMIT 1

-- name: versions
-- $1 project or null, $2 limit, $3 offset, $4 name
SELECT counted.total, page.*
FROM (
    SELECT count(*) AS total
    FROM gate_templates AS t
    JOIN gate_template_versions AS v ON v.gate_template_id = t.id
    WHERE (t.project_id = $1 OR (t.project_id IS NULL AND $1::uuid IS NULL)) AND t.name = $4
) AS counted
LEFT JOIN (
    SELECT t.id, t.project_id, t.name, v.version, v.description, v.arguments, v.gates,
        v.created_at, t.retired_at
    FROM gate_templates AS t
    JOIN gate_template_versions AS v ON v.gate_template_id = t.id
    WHERE (t.project_id = $1 OR (t.project_id IS NULL AND $1::uuid IS NULL)) AND t.name = $4
    ORDER BY v.version DESC
    LIMIT $2 OFFSET $3
) AS page ON true
ORDER BY page.version DESC

-- name: templates
-- $1 project or null, $2 limit, $3 offset, $4 name or null
SELECT counted.total, page.*
FROM (
    SELECT count(*) AS total
    FROM gate_templates
    WHERE (project_id = $1 OR (project_id IS NULL AND $1::uuid IS NULL))
        AND ($4::text IS NULL OR name = $4)
) AS counted
LEFT JOIN (
    SELECT t.id, t.project_id, t.name, v.version, v.description, v.arguments, v.gates,
        v.created_at, t.retired_at, t.created_at AS named_at
    FROM (
        SELECT id, project_id, name, retired_at, created_at
        FROM gate_templates
        WHERE (project_id = $1 OR (project_id IS NULL AND $1::uuid IS NULL))
            AND ($4::text IS NULL OR name = $4)
        ORDER BY created_at DESC, id
        LIMIT $2 OFFSET $3
    ) AS t
    CROSS JOIN LATERAL (
        SELECT *
        FROM gate_template_versions
        WHERE gate_template_id = t.id
        ORDER BY version DESC
        LIMIT 1
    ) AS v
) AS page ON true
ORDER BY page.named_at DESC, page.id

-- name: retire
-- $1 project or null, $2 name, $3 at, or null to have it back
UPDATE gate_templates
SET retired_at = CASE WHEN $3::timestamptz IS NULL THEN NULL ELSE coalesce(retired_at, $3) END
WHERE (project_id = $1 OR (project_id IS NULL AND $1::uuid IS NULL)) AND name = $2
RETURNING id
