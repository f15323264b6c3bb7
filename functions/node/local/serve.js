// Serves the function on this machine: `node local/serve.js http://127.0.0.1:8000`, the address of a DynamoDB server such as moto or dynalite.
// Prints `listening on 127.0.0.1:PORT` and runs until SIGTERM.

import { DynamoDBClient, ListTablesCommand } from '@aws-sdk/client-dynamodb';
import { getTestServer } from '@google-cloud/functions-framework/testing';
import { createTable } from './table.js';

process.env.DYNAMODB_ENDPOINT = process.argv[2];
process.env.AWS_REGION ??= 'eu-west-1';
process.env.AWS_ACCESS_KEY_ID ??= 'local';
process.env.AWS_SECRET_ACCESS_KEY ??= 'local';
const client = new DynamoDBClient({ endpoint: process.env.DYNAMODB_ENDPOINT });
const { TableNames } = await client.send(new ListTablesCommand({}));
if (!TableNames.includes('tidegate')) await createTable(client, 'tidegate');
await import('../index.js');
const server = getTestServer('ingest');
server.listen(0, '127.0.0.1', () => console.log(`listening on 127.0.0.1:${server.address().port}`));
process.on('SIGTERM', () => process.exit(0));
