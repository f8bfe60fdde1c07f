-- Of docker/compose.files.yaml: who may read the tables of streamagg, and change nothing.
CREATE ROLE grafana LOGIN;
ALTER DEFAULT PRIVILEGES FOR ROLE streamagg GRANT SELECT ON TABLES TO grafana;
