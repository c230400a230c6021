-- $1 org_id
SELECT e.show_id, e.number, e.title, e.season_id, count(c.contestant_id)::int AS contestants, e.ref
FROM episodes AS e
LEFT JOIN contestants AS c ON c.org_id = e.org_id AND c.show_id = e.show_id AND c.episode = e.number
WHERE e.org_id = $1
GROUP BY e.org_id, e.show_id, e.number, e.title, e.season_id, e.ref
ORDER BY e.show_id, e.number
