-- A number for each product, so that pgbench can draw one.
CREATE TABLE bench_product AS
SELECT row_number() OVER (ORDER BY product.id)::int AS number, product.id AS product_id,
       level.location_id, level.id AS level_id, product.sku, product.name, product.price,
       product.currency
FROM inventory_product AS product JOIN inventory_stocklevel AS level ON level.product_id = product.id;
ALTER TABLE bench_product ADD PRIMARY KEY (number);
CREATE TABLE bench_customer AS
SELECT row_number() OVER (ORDER BY id)::int AS number, id, email FROM users_user;
ALTER TABLE bench_customer ADD PRIMARY KEY (number);
VACUUM ANALYZE bench_product, bench_customer;
