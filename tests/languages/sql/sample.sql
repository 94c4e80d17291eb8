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
