// Stores Flannel's configuration: node put-config.js ENDPOINT JSON
import { Etcd3 } from "etcd3";

const [endpoint = "", config = ""] = process.argv.slice(2);
const client = new Etcd3({ hosts: endpoint });
await client.put("/coreos.com/network/config").value(config);
client.close();
