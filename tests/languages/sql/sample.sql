-- Orders and what belongs to them.
CREATE TABLE IF NOT EXISTS shop.orders (
    id BIGINT PRIMARY KEY,
    customer_id BIGINT NOT NULL REFERENCES customers (id),
    placed_at TIMESTAMP DEFAULT now(),
    total NUMERIC(10, 2) CHECK (total >= 0)
);

CREATE UNIQUE INDEX orders_by_customer ON shop.orders (customer_id, placed_at);

/* Orders of the last week. */
CREATE OR REPLACE VIEW recent_orders AS
SELECT o.id, o.total
FROM shop.orders o
WHERE o.placed_at > now() - INTERVAL '7 days';

CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');

CREATE FUNCTION order_total(order_id BIGINT) RETURNS NUMERIC AS $$
BEGIN
    RETURN (SELECT sum(price) FROM order_lines WHERE order_lines.order_id = $1);
END;
$$ LANGUAGE plpgsql;

CREATE PROCEDURE close_order(order_id BIGINT)
BEGIN
    UPDATE orders SET closed = 1 WHERE id = order_id;
END;

CREATE TRIGGER orders_touch BEFORE UPDATE ON shop.orders
    FOR EACH ROW EXECUTE FUNCTION touch();

ALTER TABLE shop.orders ADD COLUMN note TEXT;

INSERT INTO shop.orders (id, customer_id, total) VALUES
    (1, 10, 9.99),
    (2, 11, 19.5);

SELECT count(*) FROM shop.orders;

-- name: OrdersOfCustomer :many
SELECT id, total FROM shop.orders
WHERE customer_id = @customer; -- it's not a 'string; here

CREATE SCHEMA IF NOT EXISTS billing AUTHORIZATION clerk;

CREATE DOMAIN billing.email AS text CHECK (VALUE ~ '^[^@;]+@');

CREATE SEQUENCE billing."Invoice Numbers" START 1000;

/* Notes, /* nested; */
   kept. */
CREATE TEMPORARY TABLE "odd ""name""" (
    begin INT,
    "end" TEXT DEFAULT 'it''s; fine'
);

CREATE MATERIALIZED VIEW IF NOT EXISTS billing.totals (customer, total)
AS SELECT customer_id, CASE WHEN sum(total) > 0 THEN sum(total) END FROM shop.orders GROUP BY 1;

CREATE OR REPLACE FUNCTION billing.tax(amount NUMERIC, country TEXT DEFAULT 'GR (home)')
RETURNS NUMERIC LANGUAGE plpgsql AS $body$
DECLARE
    rate NUMERIC;
BEGIN
    SELECT r INTO rate FROM rates WHERE name = $1; -- $$ is no end here
    RETURN amount * rate;
END;
$body$;

CREATE CONSTRAINT TRIGGER totals_fresh AFTER INSERT OR UPDATE ON shop.orders
    DEFERRABLE FOR EACH ROW EXECUTE FUNCTION billing.refresh();

ALTER TABLE ONLY billing.invoices
    ADD CONSTRAINT invoices_pk PRIMARY KEY (id),
    ADD CONSTRAINT invoices_order FOREIGN KEY (order_id)
        REFERENCES shop.orders (id);

COPY billing.countries (code, name) FROM stdin;
GR	Hellas; it's blue
FR	France
\.

\echo That's psql

DELIMITER //
CREATE DEFINER=`root`@`localhost` PROCEDURE `shop`.`close_old`(IN days INT)
BEGIN
    DECLARE done INT DEFAULT 0;
    IF days > 0 THEN
        UPDATE orders SET closed = 1 WHERE age > days;
    END IF;
    CASE days WHEN 1 THEN SET done = 1; ELSE SET done = 2; END CASE;
END//

CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY DO CALL close_old(30)//
DELIMITER ;

CREATE OR REPLACE PACKAGE BODY stock AS
    total NUMBER := 0;

    FUNCTION left_of(article NUMBER) RETURN NUMBER IS
        amount NUMBER;
    BEGIN
        SELECT count(*) INTO amount FROM shelf WHERE id = article;
        RETURN amount;
    END left_of;

    PROCEDURE take(article NUMBER) IS
    BEGIN
        total := total - 1;
    END;
END stock;
/

CREATE TABLE [dbo].[Audit Log] ([Id] INT IDENTITY)
GO

CREATE PROCEDURE [dbo].[Log_Add] @text NVARCHAR(200)
AS
SET NOCOUNT ON;
INSERT INTO [dbo].[Audit Log] VALUES (@text);
GO

BEGIN TRANSACTION;
UPDATE shop.orders SET note = NULL;
COMMIT;
