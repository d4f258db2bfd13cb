-- Bodies come compressed: to try it again costs a batch more time than it could ever save.
ALTER TABLE batch ALTER COLUMN body SET STORAGE EXTERNAL;
